"""Live state of one application: from the watch of this process, or by LIST and GET (sync-semantics.md 5.4, 7.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import hub.reconcile.autoscalers as autoscalers
from clusters import errors
from clusters.core.discovery import Discovery
from clusters.core.manifests import Manifest, ResourceKey
from clusters.core.plan.steps import Action, Outcome, Step
from clusters.errors import ClusterError
from clusters.services import carry_out, discovery, live_state
from hub.reconcile.frame import Catalogue, Frame
from hub.reconcile.sourcing import Desired
from hub.reconcile.work import Work

Kind = tuple[str, str]
MOST_UNLISTED = 50
# Refusals that say: the object is not the one that was known. All other refusals leave it as it was.
_SOMEBODY_ELSE = frozenset({"conflict", "already_exists", "not_ours", "not_found"})


@dataclass
class Seen:
    """One look. `live[key]` is the object, None when it is proven absent; no entry means unknown.

    `incomplete`: kinds whose listing is not finished, with the reason: nothing of them is ever pruned.
    """

    discovery: Discovery
    live: dict[ResourceKey, Manifest | None] = field(default_factory=dict)
    incomplete: dict[Kind, str] = field(default_factory=dict)
    unknown: dict[ResourceKey, str] = field(default_factory=dict)
    problem: ClusterError | None = None
    watched: bool = False

    def absorb(self, outcomes: Iterable[Outcome]) -> None:
        """What the answers of a Step say is newer than any cache."""
        for outcome in outcomes:
            action = outcome.action
            if action.dry_run:
                continue
            if outcome.ok and outcome.object is not None and outcome.object.get("metadata"):
                self.live[action.key] = outcome.object
            elif outcome.code == "not_found" and action.verb in {"get", "delete", "patch"}:
                self.live[action.key] = None
            elif outcome.ok and action.verb == "delete":
                # No object in the answer: it is gone; otherwise it goes, and the next look tells when.
                self.live[action.key] = None


def read_after(frame: Frame, seen: Seen, outcomes: Iterable[Outcome]) -> None:
    """Read again what a write may or may not have changed: its answer was lost, or somebody else was faster."""
    doubtful = [
        outcome.action.key
        for outcome in outcomes
        if not (outcome.ok or outcome.action.dry_run or outcome.action.verb == "get")
        and (not outcome.permanent or outcome.code in _SOMEBODY_ELSE)
    ]
    group = tuple(Action("get", key) for key in dict.fromkeys(doubtful))
    if group and seen.problem is None:
        with frame.stage("look"):
            seen.absorb(carry_out(frame.connection, Step("adopt", "read what became of it", (group,), False)))


def catalogue(frame: Frame) -> Catalogue:
    """What kinds the cluster serves; from memory when it was read before, anew while a kind of ours is missing."""
    with frame.stage("discover"):
        try:
            found = discovery(frame.connection)
            if any(found.find(*key[:2]) is None for key in frame.rows):
                found = discovery(frame.connection, fresh=True)
            return Catalogue(found)
        except ClusterError as error:
            return Catalogue(Discovery(), error)


def look(frame: Frame, desired: Desired, work: Work | None) -> Seen:
    """The live state of what is wanted, of what was managed, and of what the running operation waits for."""
    seen = Seen(desired.catalogue.discovery, problem=desired.catalogue.problem)
    if seen.problem is not None:
        return seen
    keys = {key for key in desired.keys if not key.name.endswith("*")}
    keys |= {key for key, row in frame.rows.items() if not row.is_hook}
    keys |= work.wanted() if work is not None else set()
    kinds = {key[:2] for key in keys} | {key[:2] for key in frame.rows}
    if frame.memory.get("namespace") or "managed_namespace_metadata" in (frame.app.sync_policy or {}):
        # Not ours to list: one GET of the Namespace whose metadata the Application manages.
        keys.add(ResourceKey("", "Namespace", "", frame.app.destination_namespace))
    with frame.stage("look"):
        _read(frame, seen, kinds, keys, _versions(desired))
        if work is not None:
            _read_unlisted(frame, seen, desired)
        _read_managed_fields(frame, seen, desired)
        planned = work.desired if work is not None and work.desired is not None else desired
        manifests = [*desired.by_key.values(), *planned.by_key.values()]
        seen.incomplete.update(autoscalers.find(frame, manifests, seen.discovery))
    return seen


def look_for(frame: Frame, seen: Seen, keys: Iterable[ResourceKey]) -> None:
    """Add keys that the first look did not ask for."""
    missing = {key for key in keys if key not in seen.live and key not in seen.unknown}
    if missing and seen.problem is None:
        with frame.stage("look"):
            _read(frame, seen, set(), missing, {})


def _versions(desired: Desired) -> dict[ResourceKey, str]:
    """The version each target is written in: a watch shows the preferred one, and they may differ."""
    return {key: str(manifest["apiVersion"]) for key, manifest in desired.by_key.items()}


def _read(
    frame: Frame, seen: Seen, kinds: set[Kind], keys: set[ResourceKey], versions: dict[ResourceKey, str]
) -> None:
    served = {key for key in keys if seen.discovery.find(key.group, key.kind) is not None}
    for key in keys - served:
        # A kind that is not served has no objects, unless its group could not be read at all.
        if key.group in seen.discovery.broken_groups:
            seen.unknown[key] = f"discovery of {key.group} failed"
        else:
            seen.live.setdefault(key, None)
    try:
        state = live_state(
            frame.connection,
            hub_id=frame.hub_id,
            kinds={kind for kind in kinds if seen.discovery.find(*kind) is not None},
            keys=served,
            owner=frame.app.name,
            api_versions=versions,
        )
    except ClusterError as error:
        seen.problem = error
        return
    if state.errors and not any(state.complete.values()) and not any(map(_speaks, state.errors.values())):
        # Nothing at all could be listed: that is the cluster, not a kind, and has its grace (7.4).
        seen.problem = next(iter(state.errors.values()))
        return
    seen.discovery = state.discovery
    seen.live.update(state.objects)
    seen.live.update(dict.fromkeys(state.absent))
    if frame.excluded_kinds:
        # Not ours to see, whatever our marks on it say: what was managed before stays in place (2.1 item 4).
        seen.live = {key: live for key, live in seen.live.items() if not frame.excludes(key)}
    seen.unknown.update({key: error.message for key, error in state.unknown.items()})
    seen.incomplete.update({kind: error.message for kind, error in state.errors.items()})
    for kind, complete in state.complete.items():
        if not complete:
            seen.incomplete.setdefault(kind, "the listing was not finished")
    seen.watched = bool(kinds) and kinds <= set(state.watched)


def _read_unlisted(frame: Frame, seen: Seen, desired: Desired) -> None:
    """What Git no longer wants, of a kind that could not be listed: an operation says why it stays (7.3)."""
    extras = sorted(seen.unknown.keys() & frame.rows.keys() - desired.keys)[:MOST_UNLISTED]
    group = tuple(Action("get", key) for key in extras)
    if group and seen.problem is None:
        seen.absorb(carry_out(frame.connection, Step("adopt", "read what was not listed", (group,), False)))


def unlisted(frame: Frame, desired: Desired, seen: Seen) -> str:
    """Which kinds of what the Application has or wants could not be listed, and why; empty when all were.

    Only of these may something be there that nobody sees: who must find every object of ours stops here (7.3).
    """
    ours = {key[:2] for key in frame.rows} | {key[:2] for key in desired.keys}
    return "; ".join(
        f"listing of {kind[1]} is incomplete: {reason}"
        for kind, reason in sorted(seen.incomplete.items())
        if kind in ours
    )


def _speaks(error: ClusterError) -> bool:
    """Whether an error is about one kind: refused, not served, cut off. Else the whole server has a problem."""
    return not isinstance(error, errors.Unavailable | errors.Throttled | errors.Unauthorized)


def read_whole(frame: Frame, seen: Seen, keys: Iterable[ResourceKey]) -> None:
    """Read those of these live objects again that came without managedFields."""
    bare = [key for key in keys if (live := seen.live.get(key)) and "managedFields" not in live["metadata"]]
    if bare and seen.problem is None:
        group = tuple(Action("get", key) for key in bare)
        seen.absorb(carry_out(frame.connection, Step("adopt", "read who owns what", (group,), False)))


def _read_managed_fields(frame: Frame, seen: Seen, desired: Desired) -> None:
    """Targets that exist and were never applied by us are read whole: adoption needs their managedFields (4.1)."""
    foreign = [key for key in desired.keys if key not in frame.rows or not frame.rows[key].baseline]
    read_whole(frame, seen, foreign)
