"""Imported templates: reading a block, merging several, rendering for one Destination (notifications.md 4.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import notifications.core.documents as documents
import notifications.core.marks as marks
from notifications.core.gotemplates import Rendered, Secrets, Template, parse_template, render
from notifications.core.gotimes import Clock
from notifications.core.namespaces import namespaces
from notifications.core.templates.fallback import thread_of
from notifications.core.templates.fields import ALIASES, CHANNELS, NOT_YET, kind_at
from notifications.core.templates.message import MAX_BODY, MAX_TITLE, Message, cut, severity_of
from notifications.core.yamls import as_text, load_yaml
from notifications.errors import ConfigError, TemplateError

_BARE_BRACES = re.compile(r"^(\s*(?:-\s+)?[\w.-]+:\s+)(\{\{.*)$")
_BLOCK_SCALAR = re.compile(r"^(\s*)(?:-\s+)?[\w.\"'-]+:\s+[|>][+-]?\d?[+-]?\s*(?:#.*)?$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
_EMOJI = re.compile(r"^(\s*[\w.-]+:\s+)(:[\w+-]+:)\s*$", re.MULTILINE)
Path = tuple[str, ...]


class Leaf(NamedTuple):
    """One field of a block: a compiled template, or for `static` ones the value itself."""

    kind: str
    value: Any
    template: Template | None


@dataclass(frozen=True)
class ImportedTemplate:
    """`blocks` maps a channel type to its fields. `not_yet` names blocks that are read but not sent."""

    name: str
    message: Leaf | None
    blocks: Mapping[str, Mapping[Path, Leaf]]
    remarks: tuple[str, ...] = ()
    not_yet: tuple[str, ...] = ()


@dataclass(frozen=True)
class Occasion:
    """Everything a rendering needs to know. `channel` is the type of the service, `service` the name in subscriptions.

    `html`: the mail service sends HTML. `json_body`: the webhook's Content-Type is JSON.
    """

    event: Mapping[str, Any]
    channel: str
    service: str
    recipient: str
    clock: Clock
    context: Mapping[str, str] = field(default_factory=dict)
    html: bool = False
    json_body: bool = False


def read_template(name: str, text: str) -> ImportedTemplate:
    """One value of `template.<name>`. ConfigError for its YAML, TemplateError for a field that cannot be parsed."""
    loaded, remarks = _loaded(text)
    if not isinstance(loaded, dict):
        raise ConfigError("shape", "a template is a map of message and blocks for channels")
    message: Leaf | None = None
    blocks: dict[str, dict[Path, Leaf]] = {}
    not_yet: list[str] = []
    for key, value in loaded.items():
        channel = ALIASES.get(str(key).lower(), str(key).lower())
        if channel == "message":
            message = _leaf("message", "mrkdwn", as_text(value))
        elif channel in NOT_YET:
            not_yet.append(channel)
        elif channel not in CHANNELS:
            remarks.append(f"the block {str(key)[:40]!r} is not known and ignored")
        elif value is not None:
            slack_text, fields = _block(channel, value, remarks)
            message = slack_text if slack_text is not None and message is None else message
            blocks[channel] = fields
    return ImportedTemplate(name, message, blocks, tuple(remarks), tuple(not_yet))


def _loaded(text: str) -> tuple[Any, list[str]]:
    """What documented examples get wrong and means something nevertheless is read, with a remark."""
    try:
        return load_yaml(text), []
    except ConfigError as problem:
        quoted = _quoted_braces(text)
        if quoted != text:
            return load_yaml(quoted), ["a value that begins with {{ is read as if it were in quotes"]
        emoji = _EMOJI.search(text)
        if emoji is None:
            raise
        line = text.count("\n", 0, emoji.start()) + 1
        hint = f"write {emoji[1].strip()} '{emoji[2]}'"
        raise ConfigError(problem.code, problem.sentence, hint, line=line, column=problem.column) from None


def _quoted_braces(text: str) -> str:
    """Plain scalars that begin with `{{` in quotes; the text of block scalars is left as it is."""
    made: list[str] = []
    inside: int | None = None
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip(" "))
        if inside is not None and line.strip() and indent <= inside:
            inside = None
        if inside is None:
            line = _BARE_BRACES.sub(
                lambda found: f"{found[1]}'{found[2].rstrip().replace(chr(39), chr(39) * 2)}'", line
            )
            opened = _BLOCK_SCALAR.match(line)
            inside = len(opened[1]) if opened else None
        made.append(line)
    return "\n".join(made)


def _block(channel: str, value: Any, remarks: list[str]) -> tuple[Leaf | None, dict[Path, Leaf]]:
    if not isinstance(value, dict):
        raise ConfigError("shape", f"the block {channel} is a map")
    made: dict[Path, Leaf] = {}
    message: Leaf | None = None
    for given, item in _flat(value):
        if channel == "slack" and tuple(name.lower() for name in given) == ("message",):
            remarks.append("slack.message is read as the text of the message")
            message = _leaf("slack.message", "mrkdwn", as_text(item))
            continue
        known = kind_at(channel, given)
        if known is None:
            remarks.append(f"{channel}.{'.'.join(given)[:60]} is not known and ignored")
        elif known[1] == "static":
            made[known[0]] = Leaf("static", item, None)
        else:
            made[known[0]] = _leaf(f"{channel}.{'.'.join(known[0])}", known[1], as_text(item))
    return message, made


def _flat(value: Mapping[Any, Any], before: Path = ()) -> list[tuple[Path, Any]]:
    found: list[tuple[Path, Any]] = []
    for key, item in value.items():
        path = (*before, str(key))
        if isinstance(item, dict) and len(path) < 3:
            found += _flat(item, path)
        else:
            found.append((path, item))
    return found


def _leaf(where: str, kind: str, text: str) -> Leaf:
    try:
        return Leaf(kind, text, parse_template(text))
    except TemplateError as problem:
        sentence = f"{where}: {problem.sentence}"
        raise TemplateError(
            problem.code, sentence, problem.hint, line=problem.line, column=problem.column
        ) from None


# -- merging


def merged(templates: Sequence[ImportedTemplate], channel: str) -> tuple[Leaf | None, dict[Path, Leaf]]:
    """The text and the block of several templates, in order; the rule of the channel says what a later one replaces."""
    message: Leaf | None = None
    block: dict[Path, Leaf] = {}
    for template in templates:
        if template.message is not None and template.message.value:
            message = template.message
        later = template.blocks.get(channel)
        if later is None:
            continue
        rule = CHANNELS[channel].merge
        if rule == "block":
            block = dict(later)
        elif rule == "fields":
            block.update({path: leaf for path, leaf in later.items() if leaf.value not in ("", None)})
        else:
            names = {path[0] for path in later}
            block = {path: leaf for path, leaf in block.items() if path[0] not in names} | dict(later)
    return message, block


# -- rendering


def render_imported(templates: Sequence[ImportedTemplate], occasion: Occasion) -> Message:
    """Raises TemplateError when any field fails; `templates.message_for` then makes the fallback."""
    message, block = merged(templates, occasion.channel)
    remarks: dict[str, None] = {}
    rendering = _Rendering(occasion, lambda text: remarks.setdefault(text))
    markup = "mrkdwn" if occasion.channel == "slack" else "html" if occasion.html else "plain"
    body = "" if message is None or message.template is None else rendering.text(message.template, markup)
    part: dict[str, Any] = {}
    for path, leaf in block.items():
        if occasion.channel == "webhook" and path[0] != occasion.service:
            continue
        target = part
        for name in path[:-1]:
            target = target.setdefault(name, {})
        target[path[-1]] = rendering.field(leaf, path)
    return Message(
        title=cut(_CONTROL.sub(" ", marks.scrub(str(occasion.event.get("summary") or ""))), MAX_TITLE),
        body=cut(body, MAX_BODY),
        severity=severity_of(occasion.event),
        thread=_thread(part, occasion),
        policy=str(part.get("deliveryPolicy") or "Post") if occasion.channel == "slack" else "Post",
        markup=markup,  # type: ignore[arg-type]
        parts={occasion.channel: part} if block else {},
        remarks=tuple(remarks),
    )


def _thread(part: Mapping[str, Any], occasion: Occasion) -> str:
    """Imported Slack messages are grouped by their own key only; empty or `<no value>` is no thread."""
    if occasion.channel != "slack":
        return thread_of(occasion.event)
    key = str(part.get("groupingKey") or "").strip()
    return "" if key in ("", "<no value>") else key


class _Rendering:
    def __init__(self, occasion: Occasion, remark: Callable[[str], Any]) -> None:
        self.occasion = occasion
        self.remark = remark
        event = occasion.event
        context = {**occasion.context, "notificationType": occasion.channel}
        self.data: dict[str, Any] = {
            "context": context,
            "serviceType": occasion.service,
            "recipient": occasion.recipient,
            "event": event,
            "secrets": Secrets(),
            **namespaces(event, occasion.clock, remark),
        }
        for name, key in (("app", "application"), ("obj", "application"), ("appProject", "project_view")):
            if event.get(key) is not None:
                self.data[name] = event[key]

    def run(self, template: Template, marking: str) -> Rendered:
        rendered = render(template, self.data, self.occasion.clock, marking)
        for text in rendered.remarks:
            self.remark(text)
        return rendered

    def text(self, template: Template, markup: str) -> str:
        marking = {"mrkdwn": marks.SLACK, "html": marks.HTML}.get(markup, "")
        return str(marks.hide(marks.finish(self.run(template, marking).text)))

    def field(self, leaf: Leaf, path: Path) -> Any:
        if leaf.template is None:
            return leaf.value
        try:
            return self.filled(leaf.kind, leaf.template)
        except TemplateError as problem:
            sentence = f"{self.occasion.channel}.{'.'.join(path)}: {problem.sentence}"
            raise TemplateError(
                problem.code, sentence, problem.hint, line=problem.line, column=problem.column
            ) from None

    def filled(self, kind: str, template: Template) -> Any:
        if kind == "slack_document":
            return documents.for_slack(documents.parse(self.run(template, marks.SLACK)))
        if kind == "document":
            return documents.plain(documents.parse(self.run(template, "")))
        if kind == "html":
            return self.text(template, "html" if self.occasion.html else "plain")
        rendered = self.run(template, "")
        if kind == "wire":
            return _CONTROL.sub("", rendered.text)
        if kind == "wire_body":
            looks = rendered.text.lstrip()[:1] in ("{", "[")
            return (
                documents.json_text(rendered)
                if rendered.text and (looks or self.occasion.json_body)
                else rendered.text
            )
        text = marks.hide(rendered.text)
        return _CONTROL.sub(" ", text).strip() if kind == "header" else text
