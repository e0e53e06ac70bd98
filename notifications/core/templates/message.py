"""The Message: what a Delivery will say, before any channel gives it a form (notifications.md 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from notifications.core.events import SEVERITIES

MAX_TITLE = 150
MAX_BODY = 12_000
MAX_FIELDS = 20
MAX_FIELD = 2_000
MAX_ACTIONS = 5
POLICIES = ("Post", "PostAndUpdate", "Update")
COMMANDS = ("approve", "reject", "withdraw", "request-rollback", "retry-sync", "silence")
SEVERITY_MARKS = {"info": "ℹ️", "success": "✅", "warning": "⚠️", "error": "❌", "critical": "🚨"}


@dataclass(frozen=True)
class MessageField:
    """`link` is a checked address that the value leads to, where a channel can show one."""

    title: str
    value: str
    short: bool = True
    link: str | None = None


@dataclass(frozen=True)
class Action:
    """`open` with a checked `link`, or a command; tokens are given out by the service that stores the Delivery."""

    kind: str
    label: str
    link: str | None = None


@dataclass(frozen=True)
class Message:
    """Neutral text, and for imported templates the rendered block of the one channel in `parts`.

    `markup` says what `body` is: `plain` (the channel escapes it), `mrkdwn` (already escaped for Slack) or `html`.
    `parts` may still hold names of secrets (webhook only): `marks.fill` before the wire, `marks.hide` to show it.
    `fallback` is why this is not what the template would have said, "" normally. `line` is what a reply says in a
    thread whose root shows all the rest.
    """

    title: str
    body: str = ""
    fields: tuple[MessageField, ...] = ()
    severity: str = "info"
    link: str | None = None
    actions: tuple[Action, ...] = ()
    thread: str = ""
    policy: str = "Post"
    mention: str = ""
    markup: Literal["plain", "mrkdwn", "html"] = "plain"
    parts: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    fallback: str = ""
    line: str = ""


def cut(text: str, most: int) -> str:
    """At most `most` characters; what is missing shows as `…`."""
    return text if len(text) <= most else text[: most - 1] + "…"


def severity_of(event: Mapping[str, Any]) -> str:
    severity = event.get("severity")
    return severity if severity in SEVERITIES else "info"
