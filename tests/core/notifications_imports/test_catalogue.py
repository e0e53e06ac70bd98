"""The default catalogue speaks (notifications.md 3.1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from notifications.core.catalogue import default_native, default_templates, default_triggers
from notifications.core.gotimes import Clock
from notifications.core.templates import Occasion, message_for
from notifications.core.triggers import evaluate_trigger

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
CLOCK = Clock(NOW)


def app(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "shop", "namespace": "argocd"}, "spec": {"project": "p"}, "status": status}


def operation(phase: str, finished: str = "2026-01-02T11:00:00Z", **result: Any) -> dict[str, Any]:
    return {
        "phase": phase,
        "finishedAt": finished,
        "message": 'said "no"',
        "syncResult": result or {"revision": "abc"},
    }


def once_per(name: str, view: dict[str, Any]) -> list[str | None]:
    trigger = default_triggers()[name]
    since = {condition.identity: NOW - timedelta(days=1) for condition in trigger.conditions}
    verdict = evaluate_trigger(trigger, {}, {"app": view}, CLOCK, born=NOW, active_since=since)
    return [send.once_per for send in verdict.sends]


HEALTHY = {"status": "Healthy"}


@pytest.mark.parametrize(
    ("name", "view", "expected"),
    [
        ("on-created", app(), ["shop"]),
        ("on-deleted", app(), []),
        ("on-deleted", {"metadata": {"name": "shop", "deletionTimestamp": "2026-01-02T11:00:00Z"}}, ["shop"]),
        ("on-deployed", app(operationState=operation("Succeeded"), health=HEALTHY, reconciledAt="2026-01-02T11:00:05Z"), ["abc"]),
        ("on-deployed", app(operationState=operation("Succeeded"), health=HEALTHY, reconciledAt="2026-01-02T10:59:59Z"), []),
        ("on-deployed", app(operationState=operation("Succeeded"), health={"status": "Degraded"}, reconciledAt="2026-01-02T11:00:05Z"), []),
        ("on-deployed", app(), []),
        ("on-health-degraded", app(health={"status": "Degraded"}), [None]),
        ("on-sync-failed", app(operationState=operation("Failed", revisions=["a", "b"])), ["a,b"]),
        ("on-sync-failed", app(operationState=operation("Succeeded")), []),
        ("on-sync-running", app(operationState={"phase": "Running"}), [None]),
        ("on-sync-status-unknown", app(sync={"status": "Unknown", "revision": "r"}), ["r"]),
        ("on-sync-succeeded", app(operationState=operation("Succeeded")), ["abc"]),
    ],
)  # fmt: skip
def test_default_triggers_tell_once_per_synced_revision(
    name: str, view: dict[str, Any], expected: list[str]
) -> None:
    assert once_per(name, view) == expected


def test_every_default_trigger_sends_a_template_of_the_catalogue() -> None:
    for trigger in default_triggers().values():
        assert all(
            condition.problem is None and set(condition.send) <= set(default_templates())
            for condition in trigger.conditions
        )
    assert set(default_native()) == {
        "on-drift-detected",
        "on-drift-resolved",
        "on-health-recovered",
        "on-approval-requested",
    }


@pytest.mark.parametrize("name", sorted(default_templates()))
@pytest.mark.parametrize(
    "view",
    [
        app(),
        app(
            operationState=operation("Failed"),
            health={"message": 'a "b"\nc'},
            conditions=[{"type": "T", "message": '<!here> "x"'}],
        ),
    ],
)
@pytest.mark.parametrize("channel", ["slack", "email", "webhook"])
def test_every_default_template_renders(name: str, view: dict[str, Any], channel: str) -> None:
    event = {"summary": "s", "severity": "error", "application": view}
    made = message_for(
        [default_templates()[name]],
        Occasion(event, channel, channel, "c", CLOCK, {"argocdUrl": "https://hub.example"}),
    )
    assert made.fallback == ""
    assert "shop" in made.body
    assert "<no value>" not in made.body
    if channel == "slack":
        (attachment,) = made.parts["slack"]["attachments"]
        assert attachment["title_link"] == "https://hub.example/applications/argocd/shop"
        assert "<!here>" not in attachment["text"]
