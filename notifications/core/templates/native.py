"""Native templates: a fixed form whose leaves are small Jinja templates (notifications.md 4.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import notifications.core.marks as marks
from notifications.core.events import SEVERITIES
from notifications.core.links import safe_link
from notifications.core.templates.fallback import thread_of
from notifications.core.templates.message import (
    COMMANDS,
    MAX_ACTIONS,
    MAX_BODY,
    MAX_FIELD,
    MAX_FIELDS,
    MAX_TITLE,
    POLICIES,
    Action,
    Message,
    MessageField,
    cut,
    severity_of,
)
from notifications.core.templates.sandbox import Budget, Sandbox, compile_leaf, run_leaf
from notifications.errors import ConfigError, TemplateError

MAX_TEMPLATE = 32 * 1024
_LEAVES = ("title", "body", "severity", "link", "mention", "thread", "policy")
_KEYS = frozenset([*_LEAVES, "fields", "actions"])
_SANDBOX = Sandbox()


@dataclass(frozen=True)
class NativeTemplate:
    """Compiled leaves; `fields` are (title, value, short), `actions` (kind, label, link)."""

    name: str
    leaves: Mapping[str, Any]
    fields: tuple[tuple[Any, Any, bool], ...]
    actions: tuple[tuple[str, Any, Any], ...]


def read_native(name: str, form: Mapping[str, Any]) -> NativeTemplate:
    """ConfigError for the form, TemplateError for a leaf that the sandbox does not take."""
    unknown = sorted(str(key) for key in form if key not in _KEYS)
    if unknown:
        raise ConfigError(
            "shape", f"unknown key {unknown[0][:40]!r} in a template", f"known: {', '.join(sorted(_KEYS))}"
        )
    if len(str(form)) > MAX_TEMPLATE:
        raise ConfigError("too_large", "a template may have 32 KiB")
    fields, actions = _maps(form, "fields", MAX_FIELDS), _maps(form, "actions", MAX_ACTIONS)
    for action in actions:
        if action.get("kind") not in ("open", *COMMANDS):
            raise ConfigError(
                "shape", "an action is open or a command", f"known: open, {', '.join(COMMANDS)}"
            )
    return NativeTemplate(
        name=name,
        leaves={key: _leaf(key, form[key]) for key in _LEAVES if form.get(key) is not None},
        fields=tuple(
            (_leaf("fields.title", one.get("title", "")), _leaf("fields.value", one.get("value", "")), bool(one.get("short", True)))
            for one in fields
        ),
        actions=tuple(
            (str(one["kind"]), _leaf("actions.label", one.get("label", one["kind"])), _leaf("actions.link", one.get("link", "")))
            for one in actions
        ),
    )  # fmt: skip


def _maps(form: Mapping[str, Any], key: str, most: int) -> list[Mapping[str, Any]]:
    given = form.get(key) or []
    if not isinstance(given, list) or not all(isinstance(item, Mapping) for item in given):
        raise ConfigError("shape", f"{key} is a list of maps")
    if len(given) > most:
        raise ConfigError("too_large", f"a template may have {most} {key}")
    return given


def _leaf(where: str, source: Any) -> Any:
    if not isinstance(source, str):
        raise ConfigError("shape", f"{where} is a text")
    return compile_leaf(_SANDBOX, where, source)


def render_native(template: NativeTemplate, event: Mapping[str, Any], context: Mapping[str, str]) -> Message:
    """All texts are plain; channels escape them. TemplateError when a leaf fails."""
    names = {"event": event, "app": event.get("app") or {}, "context": dict(context)}
    budget = Budget()

    def text(key: str) -> str:
        leaf = template.leaves.get(key)
        return "" if leaf is None else marks.scrub(run_leaf(leaf, key, names, budget)).strip()

    def part(leaf: Any, where: str) -> str:
        return marks.scrub(run_leaf(leaf, where, names, budget)).strip()

    severity, policy = text("severity") or severity_of(event), text("policy") or "Post"
    if severity not in SEVERITIES or policy not in POLICIES:
        known = SEVERITIES if severity not in SEVERITIES else POLICIES
        raise TemplateError("value", "severity or policy has an unknown value", f"known: {', '.join(known)}")
    actions = [
        (kind, part(label, "actions.label"), part(link, "actions.link"))
        for kind, label, link in template.actions
    ]
    made = [
        (part(title, "fields.title"), part(value, "fields.value"), short)
        for title, value, short in template.fields
    ]
    return Message(
        title=cut(" ".join(text("title").split()) or str(event.get("summary") or ""), MAX_TITLE),
        body=cut(text("body"), MAX_BODY),
        fields=tuple(MessageField(cut(t, MAX_TITLE), cut(v, MAX_FIELD), s) for t, v, s in made if v),
        severity=severity,
        link=safe_link(text("link")),
        actions=tuple(
            Action(kind, cut(label, 75), safe_link(link) if kind == "open" else None)
            for kind, label, link in actions
            if kind != "open" or safe_link(link)
        ),
        thread=text("thread") or thread_of(event),
        policy=policy,
        # A mention wakes people: only what is urgent may.
        mention=text("mention") if severity in ("error", "critical") else "",
    )
