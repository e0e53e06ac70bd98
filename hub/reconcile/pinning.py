"""Rollback is a Pin: the Application is held at an older Revision while auto-sync stays on (sync-semantics.md 12 rule 11).

The manifests come from what the hub kept, so Git may be down. Self-heal defends the pinned state. The first Revision
that is neither excluded nor an ancestor of an excluded one, and renders something else, lifts the Pin.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import F

import hub.reconcile.sourcing as sourcing
import hub.source as source
from hub.core.sources import Resolution
from hub.errors import SourceError
from hub.models import Application, SyncOperation
from hub.reconcile.frame import Catalogue, Frame
from hub.reconcile.sourcing import Desired, SourceProblem


def hold(frame: Frame, newest: Desired, catalogue: Catalogue) -> Desired:
    """The desired set that counts: the pinned one while the Pin holds, else the newest."""
    pin = frame.app.pin
    if not pin:
        return newest
    if _lifted(frame, newest):
        _set(frame, {})
        return newest
    pinned = _pinned(frame, catalogue)
    sentence = (
        f"pinned at {_short(pin['revisions'])} by {pin.get('by', '')} until {pin.get('until', 'next-change')}"
    )
    frame.condition("Pinned", f"{sentence}: {pin['reason']}" if pin.get("reason") else sentence, "pinned")
    frame.app.revisions, frame.app.manifest_digest = list(pin["revisions"]), pinned.digest
    return pinned


def give_back(frame: Frame, operation: SyncOperation) -> None:
    """A rollback that was refused, or ended by a person, before it wrote anything holds nothing: the Pin of before counts."""
    pin = frame.app.pin
    mine = operation.kind == SyncOperation.Kind.ROLLBACK
    if mine and pin and pin.get("operation") == operation.request.get("rollback_to"):
        _set(frame, dict(pin.get("before") or {}))
        frame.memory["again"] = True


def moves(frame: Frame, desired: Desired) -> bool:
    """Whether applying this goes back to the pinned state, whoever asks for it and by which name."""
    pin, app = frame.app.pin, frame.app
    return bool(pin) and desired.digest == pin.get("digest") and desired.digest != app.synced_digest


def _set(frame: Frame, pin: dict[str, Any]) -> None:
    """In place of the Pin that this pass has seen: another one that came meanwhile stays."""
    mine = Application.objects.filter(id=frame.app.id, fence=frame.lease.fence)
    mine.filter(pin__at=frame.app.pin.get("at")).update(pin=pin, look_count=F("look_count"))
    frame.app.pin = pin


def _pinned(frame: Frame, catalogue: Catalogue) -> Desired:
    """The manifests that the Pin holds. What the hub lost is rendered again: never the newest ones in their place."""
    digest, revisions = str(frame.app.pin["digest"]), list(frame.app.pin["revisions"])
    pinned = sourcing.load(frame, digest, catalogue, tuple(revisions))
    if pinned.loaded:
        return pinned
    try:
        found, shas = sourcing.render_at(frame, revisions)
    except SourceError as error:
        said = f"the pinned manifests are no longer kept, and cannot be rendered: {error.message}"
        held = frame.memory.setdefault("source_problem", {"code": error.code, "since": frame.now.isoformat()})
        since = datetime.fromisoformat(held["since"])
        pinned.problem = SourceProblem(error.code, said, since, error.permanent)
        return pinned
    return sourcing.load(frame, found, catalogue, tuple(shas))


def _short(revisions: list[str]) -> str:
    return ", ".join(revision[:7] for revision in revisions)


def _lifted(frame: Frame, newest: Desired) -> bool:
    pin = frame.app.pin
    until = str(pin.get("until") or "next-change")
    if until == "manual":
        return False
    if until != "next-change":
        return frame.now >= datetime.fromisoformat(until)
    if newest.problem is not None or not newest.loaded:
        return False
    excluded = {tuple(revisions) for revisions in pin.get("excluded") or ()}
    if tuple(newest.revisions) in excluded or newest.digest in (
        pin["digest"],
        *pin.get("excluded_digests", ()),
    ):
        return False
    return not any(_older(frame, index, sha, excluded) for index, sha in enumerate(newest.revisions))


def _older(frame: Frame, index: int, sha: str, excluded: set[tuple[str, ...]]) -> bool:
    """Whether this commit is an ancestor of an excluded one of the same source: a force-push back, for example."""
    state = frame.app.source_states.select_related("repository__project").filter(index=index).first()
    bad = [revisions[index] for revisions in excluded if len(revisions) > index]
    if state is None or state.repository is None or not bad:
        return False
    try:
        wanted = [Resolution(sha, name=sha, kind="commit")]
        mirror = source.ensure(state.repository.access(), wanted, root=settings.HUB_MIRROR_DIR)
        return any(source.is_ancestor(mirror, sha, other) for other in bad if other != sha)
    except (SourceError, source.RefMoved, source.MirrorCorrupt):
        return True  # what cannot be judged does not lift a Pin
