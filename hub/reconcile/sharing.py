"""Objects with more than one owner: the first keeps them, both say so (sync-semantics.md 5.3)."""

from __future__ import annotations

import threading
import time
import uuid
from collections import defaultdict

from clusters.core.manifests import Manifest, ResourceKey, owner_of
from hub.models import Application, ResourceStatus
from hub.reconcile.frame import Frame
from hub.services import looks

# What others want of ours is read once in so many seconds, per cluster and process.
REMEMBERED_S = 5.0
MOST = 20
_Wishes = dict[ResourceKey, list[tuple[uuid.UUID, str]]]
_lock = threading.Lock()
_wished: dict[uuid.UUID, tuple[float, _Wishes]] = {}


def owner_elsewhere(frame: Frame, live: Manifest | None, key: ResourceKey) -> str:
    """Who else owns the live object of a target, empty when nobody does."""
    if live is None:
        return ""
    owner = owner_of(live, application=frame.app.name, hub_id=frame.hub_id, target=key)
    if owner.kind == "other_application":
        living = Application.objects.filter(name=owner.application).first()
        row = frame.rows.get(key)
        if living is not None and (row is None or row.reason != "shared"):
            frame.caches.setdefault("owners_to_tell", set()).add(living.id)
        return owner.label if living else ""
    return owner.label if owner.kind in {"argocd", "argocd_label", "other_hub"} else ""


def tell_owners(frame: Frame) -> None:
    """After this pass was stored: the owners of what it wants, too, look and say so."""
    owners = frame.caches.get("owners_to_tell")
    if owners:
        with _lock:
            _wished.pop(frame.app.cluster_id, None)
        looks.ask(owners, level=1)


def wished_by_others(frame: Frame) -> list[tuple[ResourceKey, str]]:
    """(key, application) of what is ours and another Application of this cluster wants, too."""
    wishes = _wishes(frame.app.cluster_id)
    found = [
        (key, name)
        for key in frame.rows.keys() & wishes.keys()
        for app, name in wishes[key]
        if app != frame.app.id
    ]
    return sorted(found)[:MOST]


def wanted_by_others(frame: Frame) -> dict[ResourceKey, str]:
    """What is ours and another Application wants, too, as the table says now: its deletion would take it from them."""
    wishes = _read_wishes(frame.app.cluster_id)
    return {
        key: name
        for key in frame.rows.keys() & wishes.keys()
        for app, name in wishes[key]
        if app != frame.app.id
    }


def ask_heirs(frame: Frame) -> None:
    """We are gone: who wants what we had looks now, and takes it over (5.3)."""
    wishes = _read_wishes(frame.app.cluster_id)
    looks.ask({app for key in frame.rows.keys() & wishes.keys() for app, _ in wishes[key]}, level=1)


def _wishes(cluster: uuid.UUID) -> _Wishes:
    now = time.monotonic()
    with _lock:
        held = _wished.get(cluster)
    if held is not None and now - held[0] < REMEMBERED_S:
        return held[1]
    found = _read_wishes(cluster)
    with _lock:
        _wished[cluster] = (now, found)
    return found


def _read_wishes(cluster: uuid.UUID) -> _Wishes:
    found: _Wishes = defaultdict(list)
    rows = ResourceStatus.objects.filter(reason="shared", application__cluster=cluster)
    for app, name, *parts in rows.values_list(
        "application_id", "application__name", "group", "kind", "namespace", "name"
    ):
        found[ResourceKey(*parts)].append((app, name))
    return found
