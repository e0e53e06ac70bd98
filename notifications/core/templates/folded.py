"""One Message for many events: a storm of one trigger, or what a digest gathered (notifications.md 6.5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from notifications.core.events import SEVERITIES
from notifications.core.links import safe_link
from notifications.core.templates.fallback import one_line
from notifications.core.templates.message import (
    MAX_BODY,
    MAX_TITLE,
    SEVERITY_MARKS,
    Message,
    cut,
    severity_of,
)

MOST_NAMES = 20


def folded(events: Sequence[Mapping[str, Any]], what: str, link: str = "") -> Message:
    """`events` in the order they happened; `what` they have in common. All are named or counted."""
    named = list(dict.fromkeys(name for name in map(_name, events) if name))
    alone = len(named) < 2
    if alone:
        lines = [one_line(event.get("summary")) for event in events]
        title = f"{len(events)} times {what}" + (f": {named[0]}" if named else "")
        # The end of the story matters most.
        left, shown = len(lines) - MOST_NAMES, lines[-MOST_NAMES:]
    else:
        title = f"{len(named)} applications: {what}"
        left, shown = len(named) - MOST_NAMES, named[:MOST_NAMES]
    more = [f"and {left} more"] if left > 0 else []
    severity = max(map(severity_of, events), key=SEVERITIES.index, default="info")
    return Message(
        title=cut(f"{SEVERITY_MARKS[severity]} {title}", MAX_TITLE),
        body=cut("\n".join(more + shown if alone else shown + more), MAX_BODY),
        severity=severity,
        link=safe_link(link),
    )


def _name(event: Mapping[str, Any]) -> str:
    for part in (event.get("app"), event.get("cluster")):
        if isinstance(part, Mapping) and part.get("name"):
            return one_line(part["name"])
    return ""


def gathered(events: Sequence[Mapping[str, Any]], total: int, link: str = "") -> Message:
    """A digest: how often what happened, and the last ones. `events` are the last of `total`, oldest first."""
    counts = Counter(one_line(event.get("name")) for event in events)
    shown = [one_line(event.get("summary")) for event in events[-MOST_NAMES:]]
    said = ", ".join(f"{number} {name}" for name, number in counts.most_common())
    left = total - len(shown)
    severity = max(map(severity_of, events), key=SEVERITIES.index, default="info")
    return Message(
        title=cut(
            f"{SEVERITY_MARKS[severity]} Digest of {total} event{'' if total == 1 else 's'}", MAX_TITLE
        ),
        body=cut("\n".join([said, *([f"and {left} before these"] if left > 0 else []), *shown]), MAX_BODY),
        severity=severity,
        link=safe_link(link),
    )
