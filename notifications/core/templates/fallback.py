"""The Message that code builds when a template fails, and for events without a template (notifications.md 4.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import notifications.core.marks as marks
from notifications.core.events import episode_of
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
    """Severity mark, summary, project, cluster, revisions, what changed (failed first), link; all plain text.

    A fallback says only what failed.

    `why` is the reason when this stands in for a template that failed; it is kept on the Delivery, not shown.
    """
    severity = severity_of(event)
    summary = one_line(event.get("summary")) or one_line(event.get("name")) or "An event without a summary"
    lines = _lines(event, only_failing=bool(why))
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
        policy="PostAndUpdate" if episode_of(event) else "Post",
        fallback=why,
    )


def thread_of(event: Mapping[str, Any]) -> str:
    """`ap/<request>`, `ep/<episode>` or `op/<operation>`; "" when the event belongs to none."""
    approval, operation = event.get("approval"), event.get("operation")
    if isinstance(approval, Mapping) and approval.get("request"):
        return f"ap/{approval['request']}"
    if episode := episode_of(event):
        return f"ep/{episode}"
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


def _lines(event: Mapping[str, Any], *, only_failing: bool) -> list[str]:
    """What changed, failed first, and which applications are affected; ten lines and a count of the others."""
    changes = event.get("changes")
    known = [change for change in changes if isinstance(change, Mapping)] if isinstance(changes, list) else []
    known.sort(key=lambda change: not _is_failing(change))
    shown = [
        one for one in known if _is_failing(one) or not (only_failing or one.get("action") == "unchanged")
    ]
    lines = [_described(change) for change in shown]
    omitted = event.get("changes_omitted")
    more = max(len(lines) - _MOST_LINES, 0) + (omitted if isinstance(omitted, int) else 0)
    lines = lines[:_MOST_LINES] + ([f"and {more} more"] if more else [])
    detail = event.get("detail")
    return [*lines, *(_affected(detail) if isinstance(detail, Mapping) else [])]


def _affected(detail: Mapping[str, Any]) -> list[str]:
    names, total = detail.get("applications"), detail.get("applications_total")
    if not isinstance(names, list) or not isinstance(total, int) or not names:
        return []
    shown = ", ".join(one_line(name) for name in names)
    more = f" and {total - len(names)} more" if total > len(names) else ""
    return [f"{total} application{'' if total == 1 else 's'}: {shown}{more}"]


def _is_failing(change: Mapping[str, Any]) -> bool:
    return change.get("action") == "failed" or change.get("health") == "Degraded"


def _described(change: Mapping[str, Any]) -> str:
    name = "/".join(str(change[key]) for key in ("kind", "namespace", "name") if change.get(key))
    message = one_line(change.get("message") or change.get("health_message"))
    if not _is_failing(change):
        # Of what went well only a reason is worth a word: why a hook did not run.
        done = one_line(change.get("action"))
        message = " - ".join(part for part in (done, one_line(change.get("hook_reason"))) if part)
    return f"{marks.scrub(name)}: {cut(message, 300)}" if message else marks.scrub(name)


def one_line(value: object) -> str:
    """One line of plain text."""
    return " ".join(marks.scrub(str(value)).split()) if value not in (None, "") else ""
