"""Retention: what may go, goes; what somebody may need again stays (sources.md 6)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hub.models import Event, ManifestSet, SyncOperation
from hub.services import history
from tests.hub.factories import application

pytestmark = pytest.mark.django_db


def _set(digest: str, days: int) -> None:
    ManifestSet.objects.create(digest=digest, data=b"", used_at=timezone.now() - timedelta(days=days))
    ManifestSet.objects.filter(digest=digest).update(created_at=timezone.now() - timedelta(days=days))


def test_only_manifest_sets_that_nobody_names_are_pruned() -> None:
    application(manifest_digest="rendered", synced_digest="synced", pin={"digest": "pinned"})
    for name in ("rendered", "synced", "pinned", "forgotten"):
        _set(name, 30)
    _set("fresh", 1)
    history.prune()
    kept = set(ManifestSet.objects.values_list("digest", flat=True))
    assert kept == {"rendered", "synced", "pinned", "fresh"}


def test_unnamed_sets_above_the_limit_go_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "SETS_BYTES", 25)
    application(manifest_digest="named")
    for days, name in enumerate(("new", "middle", "old", "oldest", "named"), start=1):
        _set(name, days)
        ManifestSet.objects.filter(digest=name).update(data=b"0123456789")
    ManifestSet.objects.create(digest="rendered now", data=b"0" * 100, used_at=timezone.now())
    history.prune()
    kept = set(ManifestSet.objects.values_list("digest", flat=True))
    assert kept == {"new", "middle", "named", "rendered now"}


def test_h18_ended_sessions_leave_and_living_ones_stay() -> None:
    now = timezone.now()
    for key, days in (("ended", -1), ("alive", 1)):
        Session.objects.create(session_key=key, session_data="", expire_date=now + timedelta(days=days))
    history.prune()
    assert list(Session.objects.values_list("session_key", flat=True)) == ["alive"]


def test_much_history_leaves_in_small_statements() -> None:
    old = timezone.now() - timedelta(days=100)
    Event.objects.bulk_create(
        Event(key=str(n), name="x", occurred_at=old, dispatched_at=old) for n in range(1100)
    )
    with CaptureQueriesContext(connection) as done:
        assert history.prune()["events"] == 1100
    removed = [query["sql"] for query in done if query["sql"].startswith('DELETE FROM "hub_event"')]
    assert len(removed) == 3


def test_the_last_hundred_operations_stay_and_unfinished_ones_for_ever() -> None:
    app = application()
    for number in range(1, 121):
        phase = "Running" if number == 3 else "Succeeded"
        SyncOperation.objects.create(application=app, number=number, phase=phase)
    history.prune()
    numbers = set(app.operations.values_list("number", flat=True))
    assert numbers == {3, *range(21, 121)}


def test_old_events_go_only_after_they_were_handed_over() -> None:
    old = timezone.now() - timedelta(days=100)
    Event.objects.create(key="told", name="x", occurred_at=old, dispatched_at=old)
    Event.objects.create(key="untold", name="x", occurred_at=old)
    history.prune()
    assert list(Event.objects.values_list("key", flat=True)) == ["untold"]
