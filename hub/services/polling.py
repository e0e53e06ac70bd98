"""Polling: one listing per Repository for all its Applications, then only what moved (sources.md 2.1, 3).

`poll` returns the Applications that must look; those whose inputs did not change get the new Revision by one UPDATE
and are not touched otherwise. Everything a poll found is stored in one transaction that its fence guards: a killed
poll leaves nothing half told, and one that was cut off writes nothing over what a later one found.
"""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import close_old_connections, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

import hub.services.leases as leases
import hub.services.looks as looks
import hub.services.rewrites as rewrites
import hub.source as source
from hub.core import schedule
from hub.core.sources import RefTable, Resolution, parse_url
from hub.core.sources.backoff import wait_after
from hub.core.sources.inputs import InputSet
from hub.errors import SourceError
from hub.models import Application, Repository, SourceState
from hub.render import affected

LEASE = timedelta(seconds=60)
Target = tuple[str, str]


@dataclass
class _Poll:
    """One poll under way: the claimed row, its lease, and the time of the database."""

    repository: Repository
    asked_at: datetime | None
    began_at: datetime
    began: float = field(default_factory=time.monotonic)

    @property
    def held_id(self) -> uuid.UUID:
        return self.repository.id

    def renew(self) -> None:
        # Not after the end of the poll, which may come between the keeper's look and this statement.
        self.row.filter(lease_until__isnull=False).update(lease_until=Now() + LEASE)

    @property
    def row(self) -> Any:
        """The row, as long as nobody else has claimed it."""
        return Repository.objects.filter(id=self.repository.id, fence=self.repository.fence)

    def now(self) -> datetime:
        return self.began_at + timedelta(seconds=time.monotonic() - self.began)


@dataclass(frozen=True, slots=True)
class _Target:
    """What one target means now, and the sources that track it.

    `still`: those whose inputs are the same there. `rewritten`: commits that it did not grow from.
    """

    outcome: Resolution | SourceError
    states: Sequence[SourceState]
    still: frozenset[int] = frozenset()
    rewritten: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Found:
    table: RefTable
    targets: Sequence[_Target] = ()
    rebuilt: bool = False


def _free() -> Q:
    """Nobody polls it now, and its server asked for no pause."""
    unleased = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
    return unleased & (Q(wait_until__isnull=True) | Q(wait_until__lte=Now()))


def due(limit: int = 100) -> list[uuid.UUID]:
    """Repositories whose time has come, that somebody uses, and that nobody polls now."""
    used = Exists(SourceState.objects.filter(repository=OuterRef("id")))
    rows = Repository.objects.filter(
        _free() & (used | Q(checked_at__isnull=True)), next_poll_at__lte=Now()
    ).order_by("next_poll_at")
    return list(rows.values_list("id", flat=True)[:limit])


def soon(repository_id: uuid.UUID, within: timedelta) -> float | None:
    """Seconds until a Repository becomes due: above 0 and at most `within`, else None."""
    rows = Repository.objects.filter(_free(), id=repository_id, next_poll_at__gt=Now())
    row = rows.filter(next_poll_at__lte=Now() + within).values_list("next_poll_at", Now()).first()
    return (row[0] - row[1]).total_seconds() if row is not None else None


def poll(repository_id: uuid.UUID, *, only_due: bool = False) -> list[uuid.UUID]:
    """List the refs once, resolve what Applications track, fetch what is missing, tell who must look.

    A second caller finds the lease taken and leaves; the Hint it came with is kept by `next_poll_at`. `only_due`:
    also leave when the row is not due, because this message was doubled or late.
    """
    rows = Repository.objects.filter(_free(), id=repository_id)
    if only_due:
        rows = rows.filter(next_poll_at__lte=Now())
    if not rows.update(lease_until=Now() + LEASE, fence=F("fence") + 1):
        return []
    row = Repository.objects.select_related("project").annotate(database_now=Now()).get(id=repository_id)
    at = _Poll(row, row.next_poll_at, row.database_now)
    leases.keeper.hold(at)
    try:
        return _carry_out(at)
    finally:
        leases.keeper.drop(at)


def _carry_out(at: _Poll) -> list[uuid.UUID]:
    states = list(_tracked(at.repository.source_states.order_by("id")))
    # A server may take minutes: no connection of the pool is kept meanwhile.
    close_old_connections()
    try:
        found = _look(at.repository, states)
    except source.Busy:
        at.row.update(lease_until=None, next_poll_at=Now() + timedelta(seconds=1))
        return []
    except SourceError as error:
        return _failed(at, error)
    except Exception:
        surprise = "the poll failed unexpectedly; see the log of the worker"
        _failed(at, SourceError("RepositoryUnavailable", surprise, permanent=False))
        raise
    return _succeeded(at, found)


def _tracked(rows: QuerySet[SourceState]) -> QuerySet[SourceState]:
    """With as much of their Applications as a target needs: a monorepo has a thousand, and they are heavy."""
    own = [field.name for field in SourceState._meta.concrete_fields]
    return rows.select_related("application").only(*own, "application__sources")


def _look(repository: Repository, states: list[SourceState]) -> _Found:
    """Ask the server and read the mirror; nothing is written to the database. Raises SourceError, Busy."""
    access = repository.access()
    by_target: dict[Target, list[SourceState]] = defaultdict(list)
    for state in states:
        by_target[_target(state)].append(state)
    extra = [target for target, _ in by_target if target.startswith("refs/")]
    table = source.poll(access, extra_refs=extra, source_limits=settings.HUB_SOURCE_LIMITS, patient=False)
    if table.digest == repository.refs_digest and not any(_is_behind(state, table) for state in states):
        return _Found(table)
    found = source.obtain_each(
        access,
        [source.Wanted(*target) for target in by_target],
        root=settings.HUB_MIRROR_DIR,
        table=table,
        source_limits=settings.HUB_SOURCE_LIMITS,
    )
    targets = [
        _judged(found.mirror, outcome, tracked)
        for outcome, tracked in zip(found.outcomes, by_target.values(), strict=True)
    ]
    return _Found(found.table, targets, found.mirror.rebuilt)


def _is_behind(state: SourceState, table: RefTable) -> bool:
    """Also who took its commit from an older listing while the last poll stored a newer one."""
    named = table.refs.get(state.ref_name, state.wanted)
    return not state.wanted or bool(state.error_code) or named != state.wanted


def _target(state: SourceState) -> Target:
    sources = state.application.sources
    entry = sources[state.index] if state.index < len(sources) else {}
    return state.target_revision, str(entry.get("tagPrefix") or "")


def _judged(
    mirror: source.Mirror, outcome: Resolution | SourceError, states: Sequence[SourceState]
) -> _Target:
    """Which sources would render the same at this commit, from the paths they read. Raises SourceError."""
    left = [state for state in states if state.wanted != getattr(outcome, "sha", state.wanted)]
    if isinstance(outcome, SourceError) or not left:
        return _Target(outcome, states)
    tree = mirror.tree(outcome.sha)
    same = (
        state.id
        for state in left
        if _rendered(state) and not affected(InputSet.from_json(state.inputs), tree)
    )
    return _Target(outcome, states, frozenset(same), rewrites.rewritten(mirror, outcome, left))


def _rendered(state: SourceState) -> bool:
    """What is wanted was rendered, and nothing is wrong with it."""
    return (
        bool(state.revision and state.input_key) and state.revision == state.wanted and not state.error_code
    )


def _follow(target: _Target, rows: dict[int, SourceState]) -> list[uuid.UUID]:
    """Bring every source that tracks this target to the commit it now means. `rows`: as they are by now."""
    outcome = target.outcome
    judged = {state.id: state for state in target.states}
    # Another target was stored meanwhile: that asked for a poll of its own.
    states = [row for id_, row in rows.items() if id_ in judged and _target(row) == _target(judged[id_])]
    if isinstance(outcome, SourceError):
        return _unresolved(states, outcome)
    rewrites.tell(outcome, states, target.rewritten)
    still: list[SourceState] = []
    moved: list[SourceState] = []
    for row in states:
        if row.wanted == outcome.sha and not row.error_code:
            continue
        before = judged[row.id]
        same_inputs = (row.input_key, row.revision) == (before.input_key, before.revision)
        quiet = row.id in target.still and _rendered(row) and same_inputs
        (still if quiet else moved).append(row)
    for start in range(0, len(still), 1000):
        SourceState.objects.filter(id__in=[row.id for row in still[start : start + 1000]]).update(
            wanted=outcome.sha, revision=outcome.sha, observed_at=Now()
        )
    SourceState.objects.filter(id__in=[row.id for row in moved]).update(
        wanted=outcome.sha,
        ref_name=(outcome.ref or outcome.name)[:255],
        error_code="",
        error_message="",
        error_since=None,
        observed_at=Now(),
    )
    return [row.application_id for row in moved]


def _unresolved(states: Sequence[SourceState], error: SourceError) -> list[uuid.UUID]:
    """The target does not exist: the last good set stays, a condition says why (sources.md 2.3)."""
    message = error.message[:500]
    changed = [state for state in states if state.error_code != error.code or state.error_message != message]
    SourceState.objects.filter(id__in=[state.id for state in changed]).update(
        error_code=error.code, error_message=message, error_since=Now()
    )
    return [state.application_id for state in changed]


@transaction.atomic
def _succeeded(at: _Poll, found: _Found) -> list[uuid.UUID]:
    repository = at.repository
    rows = _locked(found.targets)
    recovered = repository.state != "Connected"
    now = at.now()
    following = schedule.next_poll(
        now,
        str(repository.id),
        interval_s=settings.HUB_POLL_SECONDS,
        webhook_at=repository.webhook_at,
        failures=0,
    )
    changes: dict[str, Any] = {"wait_until": None}
    if recovered:
        changes |= {"state": "Connected", "error_code": "", "error_message": "", "failures": 0}
    if found.table.digest != repository.refs_digest:
        changes |= {"refs": found.table.as_json(), "refs_digest": found.table.digest}
    if not _finish(at, following, checked_at=now, **changes):
        return []
    moved: list[uuid.UUID] = []
    for target in found.targets:
        moved += _follow(target, rows)
    if recovered:
        moved += _applications(repository)
    if found.rebuilt:
        rewrites.rebuilt(repository)
    return looks.ask(moved, level=2)


def _locked(targets: Sequence[_Target]) -> dict[int, SourceState]:
    """The rows as they are now, until the end of the transaction; Applications first, as every other writer does."""
    states = [state for target in targets for state in target.states]
    if not states:
        return {}
    quiet = frozenset[int]().union(*(target.still for target in targets))
    told = {state.application_id for state in states if state.id not in quiet}
    list(Application.objects.select_for_update().filter(id__in=told).order_by("id").values_list("id"))
    rows = _tracked(SourceState.objects.select_for_update(of=("self",)))
    return {row.id: row for row in rows.filter(id__in=[state.id for state in states]).order_by("id")}


def _failed(at: _Poll, error: SourceError) -> list[uuid.UUID]:
    """Back off; Applications look only when the reason is new, and keep their last good set."""
    repository = at.repository
    now = at.now()
    failures = repository.failures + 1
    wait = wait_after(error, failures, schedule.jitter(str(repository.id)))
    regular = schedule.next_poll(
        now, str(repository.id), interval_s=settings.HUB_POLL_SECONDS, webhook_at=None, failures=failures
    )
    following = now + wait if wait else regular
    # What a server or its refusal asks for holds for Hints too; anything else they may find mended.
    asked = error.code in {"RateLimited", "AuthenticationFailed"} or error.retry_after is not None
    with transaction.atomic():
        finished = _finish(
            at,
            following,
            checked_at=now,
            state="Failed",
            failures=failures,
            error_code=error.code,
            error_message=error.message[:500],
            wait_until=following if asked else None,
        )
        news = finished and repository.error_code != error.code
        told = looks.ask(_applications(repository), level=2) if news else []
    if finished and error.code == "RateLimited":
        _together(repository, following)
    return told


def _together(repository: Repository, until: datetime) -> None:
    """All Repositories of this host and credential wait: one request in all that time (sources.md 2.6, S19).

    Row by row and outside of any transaction: two of them may be told so at the same moment.
    """
    access = repository.access()
    host, digest = parse_url(access.url, allow_file=True).host, access.credential_digest
    for other in (
        Repository.objects.exclude(id=repository.id).filter(url__icontains=host).select_related("project")
    ):
        reach = other.access()
        same_host = parse_url(reach.url, allow_file=True, allow_http=True).host == host
        if same_host and reach.credential_digest == digest:
            Repository.objects.filter(id=other.id).update(wait_until=until)


def _finish(at: _Poll, following: datetime, **changes: Any) -> bool:
    """Give the lease back; a Hint that came while the poll ran keeps its place. False: it was not ours any more.

    In a transaction. The times are compared here: SQLite keeps as text what it computes in another precision.
    """
    due_at = list(at.row.select_for_update().values_list("next_poll_at", flat=True))
    if not due_at:
        return False
    if due_at == [at.asked_at]:
        changes["next_poll_at"] = following
    at.row.update(lease_until=None, **changes)
    return True


def _applications(repository: Repository) -> list[uuid.UUID]:
    return list(repository.source_states.values_list("application_id", flat=True).distinct())
