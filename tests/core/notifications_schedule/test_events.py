"""The event mapping and its limits (notifications.md 2)."""

from __future__ import annotations

from typing import Any

import pytest

from notifications.core.events import MAX_EVENT, EventError, accept, scope, size

EVENT: dict[str, Any] = {
    "id": "1", "key": "k", "name": "sync-failed", "occurred_at": "2026-01-02T12:00:00Z", "severity": "error", "summary": "s",
}  # fmt: skip


def test_an_event_that_fits_is_left_as_it_is() -> None:
    event = {**EVENT, "changes": [{"n": 1}], "x": [1.5, None, True]}
    assert accept(event) == event


def test_the_longest_texts_are_cut_first() -> None:
    made = accept({**EVENT, "log": "x" * 400_000, "short": "y" * 16_000})
    assert (len(made["log"]), made["log"][-1], len(made["short"])) == (16_384, "…", 16_000)
    assert size(made) <= MAX_EVENT


def test_then_changes_are_cut_and_counted() -> None:
    changes = [{"name": f"n{number}", **{f"k{key}": "v" * 200 for key in range(20)}} for number in range(300)]
    made = accept({**EVENT, "changes": changes})
    assert len(made["changes"]) + made["changes_omitted"] == 300
    assert made["changes"][0]["name"] == "n0"
    assert size(made) <= MAX_EVENT


def test_never_more_than_200_changes() -> None:
    made = accept({**EVENT, "changes": [{"n": number} for number in range(201)]})
    assert (len(made["changes"]), made["changes_omitted"]) == (200, 1)


@pytest.mark.parametrize(
    "wrong",
    [{"id": ""}, {"key": None}, {"name": 5}, {"severity": "loud"}, {"occurred_at": "yesterday"}, {"x": object()},
     {"x": float("nan")}, {"x": {1: 2}}, {"x": {str(n): 0 for n in range(60_000)}}],
)  # fmt: skip
def test_what_is_no_event_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(EventError):
        accept({**EVENT, **wrong})


def test_absent_views_are_absent_names() -> None:
    assert set(scope(EVENT)) == {"event", "context"}
    assert scope({**EVENT, "application": {"a": 1}})["app"] == {"a": 1}


def test_what_no_database_can_store_is_exchanged() -> None:
    assert accept({**EVENT, "x": ["a\x00b", "\ud800"]})["x"] == ["a\ufffdb", "\ufffd"]


def test_a_view_that_is_too_long_is_thinned_and_never_loses_the_event() -> None:
    """A thousand conditions and resources of an Argo CD view: what comes first stays, every key of the event too."""
    rows = [{"name": f"r-{number}", "message": "m" * 290} for number in range(5_000)]
    view = {"metadata": {"name": "web"}, "status": {"resources": rows, "conditions": rows}}
    made = accept({**EVENT, **{f"key{number}": 1 for number in range(40)}, "application": view})
    assert made["application"]["metadata"] == {"name": "web"}
    assert made["application"]["status"]["resources"][0]["name"] == "r-0"
    assert made["key39"] == 1
    assert size(made) <= MAX_EVENT
