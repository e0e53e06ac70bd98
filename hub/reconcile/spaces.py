"""Labels and annotations of the destination Namespace that an Application manages (sync-semantics.md 4.2, 7.2 row 10).

They are applied by a manager of the Application's own, so that two Applications never strip each other's. What was
applied last is remembered: a key that was dropped from the specification must go from the Namespace, too.
"""

from __future__ import annotations

from typing import Any

from clusters.core.manifests import ResourceKey
from clusters.core.plan import NamespaceWish
from clusters.core.plan.actions import wish_action
from hub.reconcile.frame import Frame
from hub.reconcile.looking import Seen
from hub.reconcile.sourcing import Desired

Metadata = dict[str, dict[str, str]]


def key_of(frame: Frame) -> ResourceKey:
    return ResourceKey("", "Namespace", "", frame.app.destination_namespace)


def wanted(frame: Frame, desired: Desired) -> Metadata | None:
    """What the Namespace shall carry; None when that is nobody's wish, or a Manifest of the Namespace says it."""
    held: Any = (frame.app.sync_policy or {}).get("managed_namespace_metadata")
    if held is None and frame.memory.get("namespace"):
        held = {}
    if held is None or not frame.app.destination_namespace or key_of(frame) in desired.by_key:
        return None
    return {name: dict(held.get(name) or {}) for name in ("labels", "annotations")}


def is_stale(frame: Frame, desired: Desired) -> bool:
    """Something else was applied before."""
    held = frame.memory.get("namespace")
    return bool(held) and held != wanted(frame, desired)


def differs(frame: Frame, desired: Desired, seen: Seen) -> bool:
    """Whether the Namespace lacks what this Application manages on it, or still has what it no longer does."""
    metadata, live = wanted(frame, desired), seen.live.get(key_of(frame))
    if metadata is None or live is None:
        return False
    wish = NamespaceWish(
        frame.app.destination_namespace,
        labels=metadata["labels"],
        annotations=metadata["annotations"],
        manager=manager(frame),
        stale=is_stale(frame, desired),
    )
    return wish_action(wish, live) is not None


def manager(frame: Frame) -> str:
    return f"gitops-hub-ns-{frame.app.id}"


def remember(frame: Frame, wish: NamespaceWish | None) -> None:
    """An operation succeeded: what it wanted of the Namespace is applied."""
    if wish is None or wish.manager != manager(frame):
        return
    if wish.labels or wish.annotations:
        frame.memory["namespace"] = {"labels": wish.labels, "annotations": wish.annotations}
    else:
        frame.memory.pop("namespace", None)
