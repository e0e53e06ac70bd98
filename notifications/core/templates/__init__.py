"""Event to Message: imported templates, native ones, and the fallback (notifications.md 4).

May live here: the Message, reading and rendering of templates, the fallback. May not: the form a channel gives it.

    read_template(name, yaml_text) -> ImportedTemplate          ConfigError, TemplateError
    read_native(name, mapping) -> NativeTemplate                ConfigError, TemplateError
    message_for(templates, occasion, missing=()) -> Message     never fails: a broken template becomes the fallback
    built_in(event) -> Message                                  what an event says without a template
    card_message(event) -> Message                              the same for an event with a card
    folded(events, what) -> Message                             many events in one Message

`Message.parts[channel]` is the block of an imported template for that one channel, rendered: documents are parsed
values; for `webhook` it is {service: {method, path, body}}, where texts may hold names of secrets (`marks.fill` before
the wire, `marks.hide` to store or show).
"""

from __future__ import annotations

from collections.abc import Sequence

from notifications.core.templates.card import card_message, has_card
from notifications.core.templates.fallback import built_in, thread_of
from notifications.core.templates.fields import CHANNELS, NOT_YET
from notifications.core.templates.folded import folded
from notifications.core.templates.imported import (
    ImportedTemplate,
    Occasion,
    merged,
    read_template,
    render_imported,
)
from notifications.core.templates.message import COMMANDS, Action, Message, MessageField
from notifications.core.templates.native import NativeTemplate, read_native, render_native
from notifications.errors import TemplateError

__all__ = [
    "CHANNELS",
    "COMMANDS",
    "NOT_YET",
    "Action",
    "ImportedTemplate",
    "Message",
    "MessageField",
    "NativeTemplate",
    "Occasion",
    "built_in",
    "card_message",
    "folded",
    "has_card",
    "merged",
    "message_for",
    "read_native",
    "read_template",
    "render_imported",
    "render_native",
    "thread_of",
]


def message_for(
    templates: Sequence[ImportedTemplate | NativeTemplate], occasion: Occasion, missing: Sequence[str] = ()
) -> Message:
    """The Message of one Delivery. `missing` are names in `send` that no template has: they give the fallback too.

    Several imported templates make one Message; of native ones the last speaks. No template: the built-in one.
    """
    if missing:
        return built_in(occasion.event, f"there is no template {missing[0][:60]!r}")
    try:
        if templates and isinstance(templates[-1], NativeTemplate):
            return render_native(templates[-1], occasion.event, occasion.context)
        imported = [template for template in templates if isinstance(template, ImportedTemplate)]
        if imported:
            return render_imported(imported, occasion)
        return card_message(occasion.event) if has_card(occasion.event) else built_in(occasion.event)
    except TemplateError as problem:
        return built_in(occasion.event, str(problem))
