"""Auto-sync and self-heal: what begins by itself, when again, and when two fight (sync-semantics.md 9).

Pure: counters are values that the caller stores in the Application's memory (`HealMemory.to_json`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from clusters.core.durations import say_duration
from hub.core.windows import WindowDecision

HEAL_STEPS_S = (2.0, 6.0, 18.0, 54.0, 162.0, 300.0)
QUIET_S, FOLD_S, FORGET_S = 5.0, 0.2, 600.0
FIGHT_ROUNDS, FIGHT_WITHIN_S, FIGHT_PACE_S, FIGHT_ENDS_S = 3, 600.0, 300.0, 1800.0
DEFAULT_SLOW_RETRY_S = 1800.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last attempt for exactly this (Revision, sources, destination, options)."""

    operation: str
    succeeded: bool
    message: str = ""
    ended_at: datetime | None = None
    ended_by_approval: bool = False
    cluster_fact_changed: bool = False


@dataclass(frozen=True, slots=True)
class AutoSyncFacts:
    """What the gates of 9.1 look at. `left` counts what would be done besides shared and guarded objects:
    applies and prunes; `would_delete_all`: nothing is desired and something is live."""

    automated: bool
    now: datetime
    self_heal: bool = False
    prune: bool = False
    allow_empty: bool = False
    paused: str = ""
    deleting: bool = False
    out_of_sync: bool = False
    fresh: bool = True
    running: str = ""
    running_yields: bool = False
    running_queued: bool = False
    excluded_by_pin: str = ""
    new_revision: bool = True
    waits_for: Sequence[str] = ()
    window: WindowDecision | None = None
    applies_left: int = 0
    prunes_left: int = 0
    hooks_changed: bool = False
    attempt: Attempt | None = None
    slow_retry: float | None = None
    would_delete_all: bool = False
    needs_approval: bool = False


@dataclass(frozen=True, slots=True)
class GateDecision:
    """The first gate that said no (its number in 9.1), or what begins. `at`: look again then, if it is known."""

    allowed: bool
    kind: Literal["", "sync", "self-heal"] = ""
    gate: int = 0
    reason: str = ""
    at: datetime | None = None
    approval: bool = False


def _no(gate: int, reason: str, at: datetime | None = None) -> GateDecision:
    return GateDecision(False, "", gate, reason, at)


def decide_auto_sync(facts: AutoSyncFacts) -> GateDecision:
    """9.1: the first "no" ends it, and its reason is stored and shown.

    The answer kind `self-heal` means that the Revision was synced already and drift is to be put right; the pace of
    heals is `next_heal`.
    """
    for gate in (_switched_on, _something_to_do, _operation, _pin_and_dependencies, _windows, _worth_it):
        answer = gate(facts)
        if answer is not None:
            return answer
    kind, answer = _same_again(facts)
    if answer is not None:
        return answer
    if facts.would_delete_all and not facts.allow_empty:
        return _no(9, "auto-sync would delete all resources")
    return GateDecision(True, kind, approval=facts.needs_approval and kind == "sync")


def _switched_on(facts: AutoSyncFacts) -> GateDecision | None:
    if not facts.automated:
        return _no(1, "automated sync is off")
    if facts.paused:
        return _no(1, f"paused: {facts.paused}")
    return _no(1, "deletion in progress") if facts.deleting else None


def _something_to_do(facts: AutoSyncFacts) -> GateDecision | None:
    if not facts.fresh:
        return _no(2, "status unknown")
    return None if facts.out_of_sync else _no(2, "nothing to do")


def _operation(facts: AutoSyncFacts) -> GateDecision | None:
    heal = _is_heal(facts)
    if not facts.running or facts.running_yields or (heal and facts.running_queued):
        return None
    return _no(3, f"operation {facts.running} is running")


def _pin_and_dependencies(facts: AutoSyncFacts) -> GateDecision | None:
    if facts.excluded_by_pin:
        return _no(4, f"excluded by pin {facts.excluded_by_pin}")
    if facts.new_revision and facts.waits_for:
        return _no(5, f"waiting for application {', '.join(facts.waits_for)}")
    return None


def _windows(facts: AutoSyncFacts) -> GateDecision | None:
    window = facts.window
    if window is None or window.allowed:
        return None
    until = f" until {window.until.isoformat()}" if window.until else ""
    return _no(6, f"window {window.window}{until}", window.until)


def _worth_it(facts: AutoSyncFacts) -> GateDecision | None:
    if facts.applies_left or facts.hooks_changed or (facts.prune and facts.prunes_left):
        return None
    if facts.prunes_left:
        return _no(7, "only pruning is left and automated prune is off")
    return _no(7, "only shared resources and guarded prunes are left")


def _is_heal(facts: AutoSyncFacts) -> bool:
    attempt = facts.attempt
    return facts.self_heal and attempt is not None and attempt.succeeded


def _same_again(facts: AutoSyncFacts) -> tuple[Literal["sync", "self-heal"], GateDecision | None]:
    """Gate 8 and 9.2: has exactly this been attempted already?"""
    attempt = facts.attempt
    if attempt is None:
        return "sync", None
    if attempt.succeeded:
        if facts.self_heal:
            return "self-heal", None
        return "sync", _no(
            8, f"already attempted: operation {attempt.operation} succeeded and self-heal is off"
        )
    if attempt.cluster_fact_changed and not attempt.ended_by_approval:
        return "sync", None
    said = f"already attempted: operation {attempt.operation} failed: {attempt.message}"
    if attempt.ended_by_approval:
        return "sync", _no(8, said)
    every = facts.slow_retry
    if every is None:
        every = DEFAULT_SLOW_RETRY_S if facts.self_heal else 0.0
    if not every or attempt.ended_at is None:
        return "sync", _no(8, said)
    at = attempt.ended_at + timedelta(seconds=every)
    if facts.now < at:
        return "sync", _no(8, f"{said}; tried again at {at:%H:%M:%S}", at)
    return "sync", None


@dataclass(frozen=True, slots=True)
class LeafHeals:
    """The heals of one resource: how often in a row, when the last ended, and what was reverted after them."""

    count: int = 0
    last_end: datetime | None = None
    last_drift: datetime | None = None
    reverted: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)
    fighting_since: datetime | None = None
    fighting_path: str = ""
    manager: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "last_end": _iso(self.last_end),
            "last_drift": _iso(self.last_drift),
            "reverted": {path: [_iso(at) for at in times] for path, times in self.reverted.items()},
            "fighting_since": _iso(self.fighting_since),
            "fighting_path": self.fighting_path,
            "manager": self.manager,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LeafHeals:
        reverted = data.get("reverted") or {}
        return cls(
            count=int(data.get("count") or 0),
            last_end=_time(data.get("last_end")),
            last_drift=_time(data.get("last_drift")),
            reverted={p: tuple(t for text in times if (t := _time(text))) for p, times in reverted.items()},
            fighting_since=_time(data.get("fighting_since")),
            fighting_path=str(data.get("fighting_path") or ""),
            manager=str(data.get("manager") or ""),
        )


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None


def heal_due(heals: LeafHeals, drifted_at: datetime, last_event: datetime, quiet: bool) -> datetime:
    """When drift seen at `drifted_at` may be healed (9.3).

    `quiet`: nothing of the Application was healed in the 5 s before. Then at once; a further edit inside those 5 s is
    folded, 0.2 s after `last_event`; later ones 2, 6, 18, 54, 162, 300 s after the end of the last heal. A resource
    that fights is healed once per 5 min.
    """
    if heals.fighting_since is not None and heals.last_end is not None:
        return max(drifted_at, heals.last_end + timedelta(seconds=FIGHT_PACE_S))
    if heals.count == 0 or heals.last_end is None:
        return drifted_at if quiet else last_event + timedelta(seconds=FOLD_S)
    step = HEAL_STEPS_S[min(heals.count, len(HEAL_STEPS_S)) - 1]
    return max(drifted_at, heals.last_end + timedelta(seconds=step))


def after_heal(
    heals: LeafHeals, ended_at: datetime, *, wrote: bool = True, failed: bool = False
) -> LeafHeals:
    """A heal ended. One that found nothing to write counts for nothing (6.3). One that failed counts (9.3), but what
    differs after it was not put back by anybody: that is no reversal."""
    if failed:
        return replace(heals, count=heals.count + 1, last_end=ended_at, last_drift=ended_at)
    if not wrote:
        return heals
    return replace(heals, count=heals.count + 1, last_end=ended_at)


def begin_anew(heals: LeafHeals) -> LeafHeals:
    """A new Revision or a manual sync: counting starts anew. A fight goes on until nobody reverts."""
    return heals if heals.fighting_since is not None else LeafHeals()


def on_drift(heals: LeafHeals, paths: Iterable[str], now: datetime, manager: str = "") -> LeafHeals:
    """Drift was seen on these leaves. What drifts again after a heal is a reversal; three of one leaf within 10 min are
    a fight. Ten minutes without drift forget the count, thirty without a reversal end the fight."""
    heals = calm(heals, now)
    reversal = heals.last_end is not None and (heals.last_drift is None or heals.last_drift < heals.last_end)
    reverted = dict(heals.reverted)
    fighting, path = heals.fighting_since, heals.fighting_path
    if reversal:
        since = now - timedelta(seconds=FIGHT_WITHIN_S)
        for leaf in paths:
            times = (*(at for at in reverted.get(leaf, ()) if at >= since), now)[-FIGHT_ROUNDS:]
            reverted[leaf] = times
            if len(times) >= FIGHT_ROUNDS and fighting is None:
                fighting, path = now, leaf
    return replace(
        heals,
        last_drift=now,
        reverted=reverted,
        fighting_since=fighting,
        fighting_path=path,
        manager=manager or heals.manager,
    )


def calm(heals: LeafHeals, now: datetime) -> LeafHeals:
    """What time alone changes; also called when nothing drifts."""
    reversals = [at for times in heals.reverted.values() for at in times]
    if heals.fighting_since is not None:
        if now - max([heals.fighting_since, *reversals]) < timedelta(seconds=FIGHT_ENDS_S):
            return heals
        heals = replace(heals, fighting_since=None, fighting_path="", reverted={})
    seen = [at for at in (heals.last_drift, heals.last_end) if at is not None]
    if seen and now - max(seen) >= timedelta(seconds=FORGET_S):
        return LeafHeals()
    return heals


def fight_message(heals: LeafHeals, key: str, now: datetime) -> str:
    """The text of the Condition Fighting, empty if nobody fights."""
    if heals.fighting_since is None:
        return ""
    times = heals.reverted.get(heals.fighting_path, ())
    span = say_duration((now - times[0]).total_seconds()) if times else "10 min"
    who = heals.manager or "somebody"
    rule = f"ignoreDifferences with jsonPointers [{heals.fighting_path}] on {key} would end it"
    return f"{who} sets {heals.fighting_path} on {key}, {len(times)} times in {span}; {rule}"
