"""What tells one open period from another (notifications.md 7)."""

from __future__ import annotations

from typing import Any

from notifications.core.events import episode_of
from notifications.core.templates import thread_of


def event(name: str, uid: str = "u1", **more: Any) -> dict[str, Any]:
    return {"name": name, "key": f"{uid}/{name}", "app": {"uid": uid, "name": "web"}, **more}


def test_the_number_of_a_period_counts_per_application_and_kind() -> None:
    first = [
        event("drift-detected", episode=1),
        event("health-degraded", episode=1),
        event("drift-detected", "u2", episode=1),
        event("drift-detected", episode=2),
    ]
    assert len({episode_of(one) for one in first}) == 4


def test_the_end_and_the_reminder_belong_to_the_beginning() -> None:
    assert episode_of(event("drift-resolved", episode=1)) == episode_of(event("drift-detected", episode=1))
    off = episode_of(event("auto-sync-disabled", episode=3))
    assert episode_of(event("auto-sync-reminder", episode=3)) == off
    assert episode_of(event("auto-sync-enabled", episode=3)) == off


def test_the_emitters_own_name_of_a_period_is_kept() -> None:
    assert episode_of(event("destination-disabled", episode="service/4/x")) == "service/4/x"


def test_without_a_number_the_first_event_names_the_period() -> None:
    opening = {"name": "cluster-unreachable", "key": "c/unreachable/1", "cluster": {"name": "dev"}}
    ending = {"name": "cluster-recovered", "key": "c/x", "resolves": "c/unreachable/1"}
    assert episode_of(ending) == episode_of(opening) == "c/unreachable/1"
    assert thread_of(opening) == "ep/c/unreachable/1"


def test_what_happens_to_an_operation_is_in_its_thread() -> None:
    failed = event("sync-failed", operation={"id": "op-1"})
    assert (episode_of(failed), thread_of(failed)) == ("", "op/op-1")
