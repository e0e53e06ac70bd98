"""A Message as Slack's blocks, built as data and within every limit (notifications.md 7).

What is data appears as escaped mrkdwn or `plain_text`; only a template's `mention` can mention, and only for error or
critical. Limits: `slack_sdk/models` and Slack's reference of blocks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from notifications.core.links import safe_link
from notifications.core.templates import COMMANDS, Action, Message, MessageField

MAX_TEXT = 4_000
MAX_HEADER = 150
MAX_SECTION = 3_000
MAX_FIELD = 2_000
MAX_BLOCKS = 50
MAX_BUTTON_TEXT = 75
MAX_BUTTON_VALUE = 2_000
MAX_ATTACHMENTS = 20
NOTHING = "A notification"
_FIELDS_PER_SECTION = 10
_SECTIONS = 4
_MOST_BUTTONS = 5
_COLOURS = {
    "info": "#1d9bd1", "success": "#2eb67d", "warning": "#ecb22e", "error": "#e01e5a", "critical": "#8b0000",
}  # fmt: skip
_MENTION = re.compile(r"<(?:!(?:here|channel|everyone)|@[UW][A-Z0-9]{2,20}|!subteam\^S[A-Z0-9]{2,20})>")
_LABELS = {"request-rollback": "Request rollback", "retry-sync": "Retry sync"}
Block = dict[str, Any]


def escape(text: str) -> str:
    """`&`, `<` and `>` as entities: then no text is a mention or a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cut_text(text: str, most: int) -> str:
    """At most `most` characters, never in the middle of an entity."""
    if len(text) <= most:
        return text
    kept = text[: most - 1]
    tail = kept.rfind("&")
    if tail >= 0 and ";" not in kept[tail:] and len(kept) - tail < 6:
        kept = kept[:tail]
    return kept + "…"


def content(message: Message, settings: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """`text` always, then the blocks of an imported template or the ones built here; name and icon."""
    part = message.parts.get("slack")
    made = _imported(message, part) if part is not None else _built(message, event)
    if part is None and message.markup == "mrkdwn":
        made = {"text": cut_text(message.body or escape(message.title) or NOTHING, MAX_TEXT)}
    return {**made, **_identity(part or {}, settings)}


def _imported(message: Message, part: Mapping[str, Any]) -> dict[str, Any]:
    """What the template's author made, cut to the limits."""
    made: dict[str, Any] = {"text": cut_text(message.body or escape(message.title) or NOTHING, MAX_TEXT)}
    blocks, attachments = part.get("blocks"), part.get("attachments")
    if isinstance(blocks, list) and blocks:
        made["blocks"] = blocks[:MAX_BLOCKS]
    if isinstance(attachments, list) and attachments:
        made["attachments"] = attachments[:MAX_ATTACHMENTS]
    return made


def _identity(part: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    username = str(part.get("username") or settings.get("username") or "").strip()
    icon = str(part.get("icon") or settings.get("icon") or "").strip()
    if username:
        made["username"] = username[:80]
    if re.fullmatch(r":[\w+-]{1,100}:", icon):
        made["icon_emoji"] = icon
    elif safe_link(icon):
        made["icon_url"] = icon
    return made


def _built(message: Message, event: Mapping[str, Any]) -> dict[str, Any]:
    head = cut_text(escape(message.title), MAX_SECTION)
    body = message.body if message.markup == "mrkdwn" else escape(message.body)
    mention = _mention(message)
    text = "\n".join(part for part in (f"{mention} {head}".strip(), body) if part)
    blocks: list[Block] = [{"type": "header", "text": _plain(message.title, MAX_HEADER)}]
    if mention:
        blocks.append({"type": "section", "text": _mrkdwn(mention, MAX_SECTION)})
    blocks += [{"type": "section", "text": _mrkdwn(piece, MAX_SECTION)} for piece in _split(body)]
    blocks += _fields(message)
    context = _context(event)
    if message.link and safe_link(message.link):
        context = f"<{message.link}|Open in the hub>" + (f" · {context}" if context else "")
    if context:
        blocks.append({"type": "context", "elements": [_mrkdwn(context, MAX_FIELD)]})
    buttons = [
        _button(action) for action in message.actions if action.kind == "open" and safe_link(action.link)
    ]
    buttons = [*_commands(event), *buttons][:_MOST_BUTTONS]
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    attachment = {"color": _COLOURS.get(message.severity, _COLOURS["info"]), "blocks": blocks[:MAX_BLOCKS]}
    attachment["fallback"] = cut_text(head, MAX_TEXT)
    return {"text": cut_text(text, MAX_TEXT).strip() or NOTHING, "attachments": [attachment]}


def _mention(message: Message) -> str:
    if message.severity not in ("error", "critical"):
        return ""
    return " ".join(_MENTION.findall(message.mention)[:5])


def _plain(text: str, most: int) -> Block:
    return {"type": "plain_text", "text": cut_text(text.strip(), most) or "-", "emoji": True}


def _mrkdwn(text: str, most: int) -> Block:
    return {"type": "mrkdwn", "text": cut_text(text, most), "verbatim": True}


def _split(body: str) -> list[str]:
    """Pieces that fit a section, at line ends where there are some."""
    pieces: list[str] = []
    rest = body.strip()
    while rest and len(pieces) < _SECTIONS:
        if len(rest) <= MAX_SECTION:
            return [*pieces, rest]
        if len(pieces) == _SECTIONS - 1:
            return [*pieces, cut_text(rest, MAX_SECTION)]
        at = rest.rfind("\n", 1, MAX_SECTION)
        if at < 1:
            whole = cut_text(rest, MAX_SECTION)
            at = len(whole) - 1
        pieces.append(rest[:at])
        rest = rest[at:].lstrip("\n")
    return pieces


def _fields(message: Message) -> list[Block]:
    texts = [
        _mrkdwn(f"*{escape(one.title)}*\n{_value(one)}", MAX_FIELD)
        for one in message.fields
        if one.title or one.value
    ]
    return [
        {"type": "section", "fields": texts[start : start + _FIELDS_PER_SECTION]}
        for start in range(0, len(texts), _FIELDS_PER_SECTION)
    ]


def _value(field: MessageField) -> str:
    link = safe_link(field.link) if field.link else None
    return f"<{escape(link)}|{escape(field.value)}>" if link else escape(field.value)


def line(message: Message, content: Mapping[str, Any]) -> dict[str, Any]:
    """What a reply says below a root that shows the rest."""
    kept = {key: value for key, value in content.items() if key not in ("blocks", "attachments")}
    return {**kept, "text": cut_text(escape(message.line), MAX_TEXT) or NOTHING}


def _context(event: Mapping[str, Any]) -> str:
    """Project, cluster, who, when: what every message of the hub says at its end."""
    parts = []
    for key in ("project", "cluster", "initiator"):
        part = event.get(key)
        if isinstance(part, Mapping) and part.get("name"):
            parts.append(escape(str(part["name"])[:100]))
    if event.get("occurred_at"):
        parts.append(escape(str(event["occurred_at"])[:19].replace("T", " ") + " UTC"))
    return " · ".join(parts)


def _button(action: Action) -> Block:
    """A link. Commands come from the hub alone (`_commands`): a template cannot make one that works."""
    return {
        "type": "button",
        "text": _plain(action.label or "Open", MAX_BUTTON_TEXT),
        "action_id": "hub:open",
        "url": action.link,
    }


def _commands(event: Mapping[str, Any]) -> list[Block]:
    """Buttons that the emitter put into the event: [{kind, label?, value (an opaque token), confirm? {title, text}}]."""
    made = []
    for one in event.get("buttons") or ():
        kind = str(one.get("kind", ""))
        if kind not in COMMANDS or not one.get("value") or len(str(one["value"])) > MAX_BUTTON_VALUE:
            continue
        label = str(one.get("label") or _LABELS.get(kind, kind.capitalize()))
        button: Block = {"type": "button", "text": _plain(label, MAX_BUTTON_TEXT)}
        button |= {"action_id": f"hub:{kind}", "value": str(one["value"])}
        if kind in ("approve", "reject"):
            button["style"] = "primary" if kind == "approve" else "danger"
        if isinstance(one.get("confirm"), Mapping):
            button["confirm"] = _confirm(one["confirm"], label)
        made.append(button)
    return made


def _confirm(given: Mapping[str, Any], label: str) -> Block:
    return {
        "title": _plain(str(given.get("title") or "Are you sure?"), 100),
        "text": _plain(str(given.get("text") or label), 300),
        "confirm": _plain(label, 30),
        "deny": _plain("Cancel", 30),
    }
