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
    if revisions := _maps(event.get("revisions")):
        page = revisions[0].get("url") if len(revisions) == 1 else None
        value = cut("\n".join(map(_revision, revisions[:5])), MAX_FIELD)
        made.append(MessageField("Revisions", value, short=False, link=safe_link(page)))
    if images := _images(event):
        made.append(MessageField("Images", cut("\n".join(images), MAX_FIELD), short=False))
    return made


def _maps(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _images(event: Mapping[str, Any]) -> list[str]:
    """Which image went from which version to which."""
    lines = [
        f"{one.get('name', '')} {one.get('old') or '(new)'} → {one.get('new', '')}"
        for one in _maps(event.get("images"))
    ]
    more = [f"and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
    return [*map(one_line, lines[:_MOST_LINES]), *more]


def _revision(revision: Mapping[str, Any]) -> str:
    short = one_line(revision.get("short")) or one_line(revision.get("sha"))[:12]
    message = one_line(revision.get("message"))
    return f"{short} {cut(message, 200)}".strip()


def _lines(event: Mapping[str, Any], *, only_failing: bool) -> list[str]:
    """What changed, failed first, and which applications are affected; ten lines and a count of the others."""
    known = _maps(event.get("changes"))
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


def _differing(detail: Mapping[str, Any]) -> list[str]:
    """What has drifted, as the emitter says it: one line per object."""
    named = detail.get("resources")
    lines = [one_line(name) for name in named] if isinstance(named, list) else []
    count = detail.get("count")
    more = max(len(lines), count if isinstance(count, int) else 0) - _MOST_LINES
    return lines[:_MOST_LINES] + ([f"and {more} more"] if more > 0 else [])


def _affected(detail: Mapping[str, Any]) -> list[str]:
    names, total = detail.get("applications"), detail.get("applications_total")
    if detail.get("resources"):
        return _differing(detail)
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
