"""SyncWindows: may an operation run now, which window decides, when does that change (sync-semantics.md 11,
access-and-api.md 1.6, PR13 to PR15). Pure: the time is an argument, zones come from the zone database."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterError, croniter

from clusters.core.durations import parse_duration
from hub.core.globs import InvalidGlob, compile_glob

_ITEM = r"(?:\*|[0-9]{1,2}|[A-Za-z]{3})(?:-(?:[0-9]{1,2}|[A-Za-z]{3}))?(?:/[0-9]{1,2})?"
_FIELD = re.compile(rf"{_ITEM}(?:,{_ITEM})*")
_REFERENCE = datetime(2024, 1, 1, tzinfo=UTC)
_LONGEST_S = 366 * 86400.0
_SELECTORS = ("applications", "namespaces", "clusters")
_TURNS = 200


@dataclass(frozen=True, slots=True)
class Window:
    """One window of a Project. `duration` is seconds; `broken` says why it cannot be read: it then denies."""

    kind: Literal["allow", "deny"]
    schedule: str
    duration: float
    time_zone: str = "UTC"
    applications: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    and_operator: bool = False
    manual_sync: bool = False
    sync_overrun: bool = False
    description: str = ""
    broken: str = ""

    @property
    def name(self) -> str:
        return (
            self.description
            or f"{self.kind} {self.schedule} for {self.duration / 60:g} min ({self.time_zone})"
        )


@dataclass(frozen=True, slots=True)
class WindowTarget:
    """What windows are matched against: the Application, its destination."""

    application: str
    namespace: str
    cluster_name: str = ""
    cluster_server: str = ""


@dataclass(frozen=True, slots=True)
class WindowDecision:
    """May it run now? `window` names the one that decides, `until` is when the answer next changes, if it does."""

    allowed: bool
    reason: str
    window: str = ""
    until: datetime | None = None


def read_windows(docs: object) -> tuple[tuple[Window, ...], dict[str, list[str]]]:
    """The windows of a rules document, and every error by path. A window with an error is still returned, and denies."""
    if not isinstance(docs, Sequence) or isinstance(docs, str):
        return (), {} if docs is None else {"windows": ["must be a list"]}
    errors: dict[str, list[str]] = {}
    found: list[Window] = []
    for index, doc in enumerate(docs):
        window, wrong = _read(doc)
        if window in found:
            wrong = [*wrong, "is there twice"]
        found.append(window)
        if wrong:
            errors[f"windows.{index}"] = wrong
    return tuple(found), errors


def _read(doc: object) -> tuple[Window, list[str]]:
    if not isinstance(doc, Mapping):
        return Window("deny", "", 0.0, broken="is not a map"), ["must be a map"]
    wrong = []
    kind = doc.get("kind")
    if kind not in ("allow", "deny"):
        wrong.append("kind must be allow or deny")
    schedule = str(doc.get("schedule") or "")
    if problem := _schedule_problem(schedule):
        wrong.append(problem)
    seconds = parse_duration(doc.get("duration"))
    if seconds is None or not 0 < seconds <= _LONGEST_S:
        wrong.append("duration must be a time such as 1h30m")
    zone = str(doc.get("time_zone") or "UTC")
    if _zone(zone) is None:
        wrong.append(f"time zone {zone[:60]!r} is not known")
    if len(str(doc.get("description") or "")) > 255:
        wrong.append("description has more than 255 characters")
    selectors: dict[str, tuple[str, ...]] = {}
    for name in _SELECTORS:
        selectors[name], problems = _patterns(doc.get(name), name)
        wrong += problems
    # An unreadable selector must not make the window vanish: it then covers everything.
    open_wide = any(problem.startswith(_SELECTORS) for problem in wrong)
    if not any(selectors.values()) and not open_wide:
        wrong.append("needs at least one of applications, namespaces, clusters")
    return Window(
        kind=kind if kind in ("allow", "deny") else "deny",
        schedule=schedule,
        duration=seconds or 0.0,
        time_zone=zone,
        and_operator=doc.get("and_operator") is True,
        manual_sync=doc.get("manual_sync") is True,
        sync_overrun=doc.get("sync_overrun") is True,
        description=str(doc.get("description") or "")[:255],
        broken="; ".join(wrong),
        **(selectors if not open_wide else {"applications": ("*",)}),
    ), wrong


def _patterns(value: Any, name: str) -> tuple[tuple[str, ...], list[str]]:
    if value is None:
        return (), []
    if (
        not isinstance(value, Sequence)
        or isinstance(value, str)
        or not all(isinstance(v, str) for v in value)
    ):
        return (), [f"{name} must be a list of texts"]
    wrong = []
    for pattern in value:
        try:
            compile_glob(pattern)
        except InvalidGlob as error:
            wrong.append(f"{name}: {pattern[:60]!r} {error.reason} (at {error.position})")
    return tuple(value), wrong


def _schedule_problem(schedule: str) -> str:
    fields = schedule.split()
    if len(fields) != 5 or not all(_FIELD.fullmatch(field) for field in fields) or len(schedule) > 200:
        return "schedule must be a cron expression of 5 fields"
    try:
        croniter(schedule, _REFERENCE).get_next(datetime)
    except (CroniterError, ValueError) as error:
        return f"schedule is not possible: {str(error)[:100]}"
    return ""


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def matches(window: Window, target: WindowTarget) -> bool:
    """Any selector matches; with `and_operator` all that are set (1.6)."""
    asked = (
        (window.applications, (target.application,)),
        (window.namespaces, (target.namespace,)),
        (window.clusters, (target.cluster_name, target.cluster_server)),
    )
    answers = [
        any(compile_glob(pattern).matches(value) for pattern in patterns for value in values if value)
        for patterns, values in asked
        if patterns
    ]
    return bool(answers) and (all(answers) if window.and_operator else any(answers))


def active_until(window: Window, now: datetime) -> datetime | None:
    """The end of the run of this window that holds `now` (start <= now < start + duration), else None."""
    zone = _zone(window.time_zone)
    if window.broken or zone is None:
        return None
    after = (now.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)).astimezone(zone)
    start: datetime = croniter(window.schedule, after).get_prev(datetime)
    end = start.astimezone(UTC) + timedelta(seconds=window.duration)
    return end if now < end else None


def next_start(window: Window, now: datetime) -> datetime | None:
    zone = _zone(window.time_zone)
    if window.broken or zone is None:
        return None
    start: datetime = croniter(window.schedule, now.astimezone(zone)).get_next(datetime)
    return start.astimezone(UTC)


def _base(windows: Sequence[Window], now: datetime, manual: bool) -> tuple[bool, str, tuple[Window, ...]]:
    """The table of 1.6: allowed, the sentence, the windows that decide. `windows` all match."""
    broken = tuple(w for w in windows if w.broken)
    if broken:
        return False, f"sync window {broken[0].name} cannot be read: {broken[0].broken}", broken
    active = {window: active_until(window, now) is not None for window in windows}
    denies = tuple(w for w in windows if w.kind == "deny" and active[w])
    if denies:
        passes = manual and all(w.manual_sync for w in denies)
        return passes, f"sync window {denies[0].name} denies", denies
    allows = tuple(w for w in windows if w.kind == "allow")
    open_ = tuple(w for w in allows if active[w])
    if open_:
        return True, f"sync window {open_[0].name} allows", open_
    if allows:
        passes = manual and all(w.manual_sync for w in allows)
        return passes, f"no sync window allows now ({allows[0].name})", allows
    return True, "no sync window matches", ()


def decide_windows(
    windows: Sequence[Window],
    target: WindowTarget,
    now: datetime,
    *,
    manual: bool,
    started_at: datetime | None = None,
) -> WindowDecision:
    """May this operation start (`started_at` None), or take its next step?

    Overrun (PR13): what was allowed when it started goes on into denies that all have `sync_overrun`, and past the
    end of allows that all have it.
    """
    found = [window for window in windows if matches(window, target)]
    allowed, reason, deciding = _base(found, now, manual)
    if not allowed and started_at is not None and all(w.sync_overrun and not w.broken for w in deciding):
        begun, _, _ = _base(found, started_at, manual)
        if begun:
            return WindowDecision(True, "it was allowed when it started and may overrun", deciding[0].name)
    name = deciding[0].name if deciding else ""
    return WindowDecision(allowed, reason, name, _changes_at(found, now, manual, allowed))


def _changes_at(windows: Sequence[Window], now: datetime, manual: bool, allowed: bool) -> datetime | None:
    """The first moment after `now` at which the answer is another one."""
    at = now
    for _ in range(_TURNS):
        points = [
            point
            for window in windows
            for point in (active_until(window, at), next_start(window, at))
            if point is not None and point > at
        ]
        if not points:
            return None
        at = min(points)
        if _base(windows, at, manual)[0] != allowed:
            return at
    return None
