"""The Message that code builds when a template fails, and for events without a template (notifications.md 4.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import notifications.core.marks as marks
from notifications.core.links import safe_link
from notifications.core.templates.message import (
    MAX_BODY,
    MAX_FIELD,
    MAX_TITLE,
    SEVERITY_MARKS,
    Message,
    MessageField,
    cut,
    severity_of,
)

_MOST_LINES = 10


def built_in(event: Mapping[str, Any], why: str = "") -> Message:
    """Severity mark, summary, project, cluster, revisions, failing resources with messages, link; all plain text.

    `why` is the reason when this stands in for a template that failed; it is kept on the Delivery, not shown.
    """
    severity = severity_of(event)
    summary = one_line(event.get("summary")) or one_line(event.get("name")) or "An event without a summary"
    lines = [_described(change) for change in _failing(event)]
    total = len(lines)
    if total > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"and {total - _MOST_LINES} more"]
    operation = event.get("operation")
    if isinstance(operation, Mapping) and operation.get("message") and severity in ("error", "critical"):
        lines.insert(0, one_line(operation["message"]))
    links = event.get("links")
    link = safe_link(links.get("operation") or links.get("app")) if isinstance(links, Mapping) else None
    return Message(
        title=cut(f"{SEVERITY_MARKS[severity]} {summary}", MAX_TITLE),
        body=cut("\n".join(lines), MAX_BODY),
        fields=tuple(_fields(event)),
        severity=severity,
        link=link,
        thread=thread_of(event),
        policy="PostAndUpdate" if event.get("episode") else "Post",
        fallback=why,
    )


def thread_of(event: Mapping[str, Any]) -> str:
    """`ap/<request>`, `ep/<episode>` or `op/<operation>`; "" when the event belongs to none."""
    approval, operation = event.get("approval"), event.get("operation")
    if isinstance(approval, Mapping) and approval.get("request"):
        return f"ap/{approval['request']}"
    if event.get("episode"):
        return f"ep/{event['episode']}"
    if isinstance(operation, Mapping) and operation.get("id"):
        return f"op/{operation['id']}"
    return ""


def _fields(event: Mapping[str, Any]) -> list[MessageField]:
    made = []
    for title, name in (("Application", "app"), ("Project", "project"), ("Cluster", "cluster")):
        part = event.get(name)
        if isinstance(part, Mapping) and part.get("name"):
            made.append(MessageField(title, cut(one_line(part["name"]), MAX_FIELD)))
    revisions = event.get("revisions")
    shown = (
        [_revision(one) for one in revisions if isinstance(one, Mapping)]
        if isinstance(revisions, list)
        else []
    )
    if shown:
        made.append(MessageField("Revisions", cut("\n".join(shown[:5]), MAX_FIELD), short=False))
    return made


def _revision(revision: Mapping[str, Any]) -> str:
    short = one_line(revision.get("short")) or one_line(revision.get("sha"))[:12]
    message = one_line(revision.get("message"))
    return f"{short} {cut(message, 200)}".strip()


def _failing(event: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    changes = event.get("changes")
    known = [change for change in changes if isinstance(change, Mapping)] if isinstance(changes, list) else []
    return [
        change for change in known if change.get("action") == "failed" or change.get("health") == "Degraded"
    ]


def _described(change: Mapping[str, Any]) -> str:
    name = "/".join(str(change[key]) for key in ("kind", "namespace", "name") if change.get(key))
    message = one_line(change.get("message") or change.get("health_message"))
    return f"{marks.scrub(name)}: {cut(message, 300)}" if message else marks.scrub(name)


def one_line(value: object) -> str:
    """One line of plain text."""
    return " ".join(marks.scrub(str(value)).split()) if value not in (None, "") else ""
