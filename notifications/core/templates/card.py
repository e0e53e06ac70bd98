"""The card of a question to people: what its emitter listed, with links, in one thread (notifications.md 8.5).

An event that carries `card` {title, lines, fields [[title, value, link?]]} is told by it when no template is asked for.
Its buttons stay with the event: only a channel that has buttons shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import notifications.core.marks as marks
from notifications.core.links import safe_link
from notifications.core.templates.fallback import one_line, thread_of
from notifications.core.templates.message import (
    MAX_BODY,
    MAX_FIELD,
    MAX_FIELDS,
    MAX_TITLE,
    SEVERITY_MARKS,
    Action,
    Message,
    MessageField,
    cut,
    severity_of,
)

# What happens to a question on its way is a line in its thread too; all else only rewrites the card.
_LINES = frozenset(["approval-voted", "break-glass", "post-review", "post-review-due"])


def has_card(event: Mapping[str, Any]) -> bool:
    return isinstance(event.get("card"), Mapping)


def card_message(event: Mapping[str, Any]) -> Message:
    """The card as it stands after this event; `line` is what the thread gets, where it gets anything."""
    card, links = event["card"], event.get("links")
    links = links if isinstance(links, Mapping) else {}
    severity = severity_of(event)
    title = one_line(card.get("title")) or one_line(event.get("summary"))
    lines = [marks.scrub(str(line)) for line in card.get("lines") or ()]
    link = safe_link(links.get("approval"))
    changes = safe_link(links.get("diff"))
    return Message(
        title=cut(f"{SEVERITY_MARKS[severity]} {title}", MAX_TITLE),
        body=cut("\n".join(lines), MAX_BODY),
        fields=tuple(_field(one) for one in (card.get("fields") or ())[:MAX_FIELDS]),
        severity=severity,
        link=link,
        actions=tuple(
            Action("open", label, to) for label, to in (("Details", link), ("Diff", changes)) if to
        ),
        thread=thread_of(event),
        policy="PostAndUpdate" if event.get("name") in _LINES else "Update",
        line=cut(one_line(event.get("summary")), MAX_FIELD),
    )


def _field(one: Any) -> MessageField:
    title, value, *more = one
    return MessageField(
        cut(one_line(title), MAX_TITLE),
        cut(one_line(value), MAX_FIELD),
        link=safe_link(more[0]) if more else None,
    )
