"""Polling: one listing per Repository for all its Applications, then only what moved (sources.md 2.1, 3).

`poll` returns the Applications that must look; those whose inputs did not change get the new Revision by one UPDATE
and are not touched otherwise.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

import hub.services.looks as looks
import hub.services.rewrites as rewrites
import hub.source as source
from hub.core import schedule
from hub.core.sources import RefTable, Resolution, parse_url
from hub.core.sources.backoff import wait_after
from hub.core.sources.inputs import InputSet
from hub.core.sources.trees import Tree
from hub.errors import SourceError
from hub.models import Repository, SourceState
from hub.render import affected

LEASE = timedelta(seconds=90)
Target = tuple[str, str]


def due(limit: int = 100) -> list[uuid.UUID]:
    """Repositories whose time has come, that somebody uses, and that nobody polls now."""
    used = Exists(SourceState.objects.filter(repository=OuterRef("id")))
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
    rows = Repository.objects.filter(
        free & (used | Q(checked_at__isnull=True)), next_poll_at__lte=Now()
    ).order_by("next_poll_at")
    return list(rows.values_list("id", flat=True)[:limit])


def poll(repository_id: uuid.UUID) -> list[uuid.UUID]:
    """List the refs once, resolve what Applications track, fetch what is missing, tell who must look.

    A second caller finds the lease taken and leaves; the Hint it came with is kept by `next_poll_at`.
    """
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
    if not Repository.objects.filter(free, id=repository_id).update(
        lease_until=Now() + LEASE, fence=F("fence") + 1
    ):
        return []
    repository = Repository.objects.select_related("project").get(id=repository_id)
    asked_at = repository.next_poll_at
    states = list(repository.source_states.select_related("application").order_by("id"))
    try:
        table, moved = _list_and_resolve(repository, states)
    except SourceError as error:
        return _failed(repository, error, asked_at)
    return _succeeded(repository, table, moved, asked_at)


def _list_and_resolve(repository: Repository, states: list[SourceState]) -> tuple[RefTable, list[uuid.UUID]]:
    access = repository.access()
    by_target: dict[Target, list[SourceState]] = defaultdict(list)
    for state in states:
        by_target[_target(state)].append(state)
    extra = [target for target, _ in by_target if target.startswith("refs/")]
    table = source.poll(access, extra_refs=extra, source_limits=settings.HUB_SOURCE_LIMITS)
    unread = any(not state.wanted or state.error_code for state in states)
    if table.digest == repository.refs_digest and not unread:
        return table, []
    found = source.obtain_each(
        access,
        [source.Wanted(*target) for target in by_target],
        root=settings.HUB_MIRROR_DIR,
        table=table,
        source_limits=settings.HUB_SOURCE_LIMITS,
    )
    asked: list[uuid.UUID] = []
    for outcome, tracked in zip(found.outcomes, by_target.values(), strict=True):
        if isinstance(outcome, SourceError):
            asked += _unresolved(tracked, outcome)
        else:
            rewrites.tell(found.mirror, outcome, tracked)
            asked += _follow(found.mirror.tree(outcome.sha), outcome, tracked)
    return found.table, asked


def _target(state: SourceState) -> Target:
    sources = state.application.sources
    entry = sources[state.index] if state.index < len(sources) else {}
    return state.target_revision, str(entry.get("tagPrefix") or "")


def _follow(tree: Tree, resolution: Resolution, states: list[SourceState]) -> list[uuid.UUID]:
    """Bring every source that tracks this target to the commit it now means."""
    still, moved = [], []
    for state in states:
        if state.wanted == resolution.sha and not state.error_code:
            continue
        rendered = state.revision and state.input_key and state.revision == state.wanted
        if rendered and not state.error_code and not affected(InputSet.from_json(state.inputs), tree):
            still.append(state.id)
        else:
            moved.append(state)
    now = timezone.now()
    for start in range(0, len(still), 1000):
        SourceState.objects.filter(id__in=still[start : start + 1000]).update(
            wanted=resolution.sha, revision=resolution.sha, observed_at=now
        )
    SourceState.objects.filter(id__in=[state.id for state in moved]).update(
        wanted=resolution.sha,
        ref_name=(resolution.ref or resolution.name)[:255],
        error_code="",
        error_message="",
        error_since=None,
        observed_at=now,
    )
    return [state.application_id for state in moved]


def _unresolved(states: list[SourceState], error: SourceError) -> list[uuid.UUID]:
    """The target does not exist: the last good set stays, a condition says why (sources.md 2.3)."""
    changed = [
        state for state in states if state.error_code != error.code or state.error_message != error.message
    ]
    SourceState.objects.filter(id__in=[state.id for state in changed]).update(
        error_code=error.code, error_message=error.message[:500], error_since=Now()
    )
    return [state.application_id for state in changed]


@transaction.atomic
def _succeeded(
    repository: Repository, table: RefTable, moved: list[uuid.UUID], asked_at: datetime | None
) -> list[uuid.UUID]:
    recovered = repository.state != "Connected"
    now = timezone.now()
    following = schedule.next_poll(
        now,
        str(repository.id),
        interval_s=settings.HUB_POLL_SECONDS,
        webhook_at=repository.webhook_at,
        failures=0,
    )
    changes = (
        {"state": "Connected", "error_code": "", "error_message": "", "failures": 0} if recovered else {}
    )
    if table.digest != repository.refs_digest:
        changes |= {"refs": table.as_json(), "refs_digest": table.digest}
    _finish(repository, asked_at, following, checked_at=now, **changes)
    if recovered:
        moved = [*moved, *_applications(repository)]
    return looks.ask(moved, level=2)


@transaction.atomic
def _failed(repository: Repository, error: SourceError, asked_at: datetime | None) -> list[uuid.UUID]:
    """Back off; Applications look only when the reason is new, and keep their last good set."""
    now = timezone.now()
    news = repository.error_code != error.code
    failures = repository.failures + 1
    wait = wait_after(error, failures, schedule.jitter(str(repository.id)))
    regular = schedule.next_poll(
        now, str(repository.id), interval_s=settings.HUB_POLL_SECONDS, webhook_at=None, failures=failures
    )
    following = error.retry_at or (now + wait if wait else regular)
    if error.code == "RateLimited":
        _together(repository, following)
    _finish(
        repository,
        asked_at,
        following,
        checked_at=now,
        state="Failed",
        failures=failures,
        error_code=error.code,
        error_message=error.message[:500],
    )
    return looks.ask(_applications(repository), level=2) if news else []


def _together(repository: Repository, until: datetime) -> None:
    """All Repositories of this host and credential wait: one request in all that time (sources.md 2.6, S19)."""
    access = repository.access()
    host, digest = parse_url(access.url, allow_file=True).host, access.credential_digest
    for other in (
        Repository.objects.exclude(id=repository.id).filter(url__contains=host).select_related("project")
    ):
        reach = other.access()
        same_host = parse_url(reach.url, allow_file=True, allow_http=True).host == host
        if same_host and reach.credential_digest == digest:
            Repository.objects.filter(id=other.id).update(next_poll_at=until)


def _finish(repository: Repository, asked_at: datetime | None, following: datetime, **changes: Any) -> None:
    """Give the lease back; a Hint that came while the poll ran keeps its place."""
    mine = Repository.objects.filter(id=repository.id, fence=repository.fence)
    mine.update(lease_until=None, **changes)
    mine.filter(next_poll_at=asked_at).update(next_poll_at=following)


def _applications(repository: Repository) -> list[uuid.UUID]:
    return list(repository.source_states.values_list("application_id", flat=True).distinct())
