"""Microsoft Teams through Workflows: an Adaptive Card by HTTP POST (notifications.md 10).

The address of a workflow is a secret: it stays in the settings and is looked up by its name at the moment of sending.
Retired connector addresses are a configuration error. A card is at most 28 KB.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import notifications.channels.base as base
from notifications.channels.base import DeliveryError, Network, Owed, Receipt, Request, Step
from notifications.core.links import safe_link
from notifications.core.templates import Message

TYPE = "teams-workflows"
OLD_TYPE = "teams"
# People read it: many messages of one kind may become one.
FOLDS = True
SECRETS = frozenset(["recipientUrls"])
KNOWN = SECRETS
MAX_BYTES = 28 * 1024
WORKFLOW_HOSTS = (".logic.azure.com", ".api.powerplatform.com", ".azure-apim.net", ".flow.microsoft.com")
RETIRED_HOSTS = (".webhook.office.com", "outlook.office.com", "outlook.office365.com")
_COLOURS = {
    "info": "Accent",
    "success": "Good",
    "warning": "Warning",
    "error": "Attention",
    "critical": "Attention",
}


def check(settings: Mapping[str, Any]) -> list[str]:
    urls = settings.get("recipientUrls")
    if not isinstance(urls, Mapping) or not urls:
        return ["recipientUrls is missing"]
    return [
        f"{name}: {problem.sentence}"
        for name, url in urls.items()
        if (problem := refused(str(url))) is not None
    ]


def refused(url: str) -> DeliveryError | None:
    """Why this address is not used; None when it is a workflow's."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if any(host == one.lstrip(".") or host.endswith(one) for one in RETIRED_HOSTS):
        hint = "make a workflow 'Post to a channel when a webhook request is received' and use its address"
        return DeliveryError("retired", "connector addresses of Teams are retired", hint, kind="recipient")
    if parts.scheme != "https" or not any(host.endswith(one) for one in WORKFLOW_HOSTS):
        return DeliveryError("bad_url", "the address is not one of a Teams workflow", kind="recipient")
    return None


def prepare(message: Message, recipient: str, _settings: Mapping[str, Any], _owed: Owed) -> list[Step]:
    part = message.parts.get(TYPE) or message.parts.get(OLD_TYPE) or {}
    return [Step("post", {"recipient": recipient, "body": _body(message, part)}, "blind")]


def _body(message: Message, part: Mapping[str, Any]) -> dict[str, Any]:
    """`adaptiveCard` wins, then `template`: a card, a message that carries one, or a connector's card to translate."""
    card, template = part.get("adaptiveCard"), part.get("template")
    if isinstance(card, Mapping) and card:
        return _wrapped(card)
    if not isinstance(template, Mapping) or not template:
        return _wrapped(_card(message, part))
    if template.get("type") == "message" and isinstance(template.get("attachments"), list):
        return dict(template)
    is_card = template.get("type") == "AdaptiveCard"
    return _wrapped(template if is_card else _card(message, {**part, **template}))


def _wrapped(card: Mapping[str, Any]) -> dict[str, Any]:
    kind = "application/vnd.microsoft.card.adaptive"
    return {
        "type": "message",
        "attachments": [{"contentType": kind, "contentUrl": None, "content": dict(card)}],
    }


def _card(message: Message, part: Mapping[str, Any]) -> dict[str, Any]:
    title, text = str(part.get("title") or message.title), str(part.get("text") or message.body)
    body: list[dict[str, Any]] = [
        _text(title, weight="Bolder", size="Medium", color=_COLOURS.get(message.severity, "Default"))
    ]
    facts = _facts(part) or [{"title": one.title, "value": one.value} for one in message.fields]
    card: dict[str, Any] = {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
    }
    tail: list[dict[str, Any]] = [{"type": "FactSet", "facts": facts[:50]}] if facts else []
    actions = _actions(part, message)
    most = len(text)
    while True:
        shown = text if len(text) <= most else text[: max(most - 1, 0)] + "…"
        card["body"] = [*body, *([_text(shown)] if shown else []), *tail]
        if actions:
            card["actions"] = actions[:6]
        if most == 0 or len(json.dumps(_wrapped(card)).encode()) <= MAX_BYTES:
            return card
        most //= 2


def _text(text: str, **more: str) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True, **more}


def _facts(part: Mapping[str, Any]) -> list[dict[str, str]]:
    given = list(part.get("facts") or [])
    for section in part.get("sections") or []:
        if isinstance(section, Mapping):
            given += section.get("facts") or []
    return [
        {"title": str(one.get("name") or one.get("title") or ""), "value": str(one.get("value", ""))}
        for one in given
        if isinstance(one, Mapping)
    ]


def _actions(part: Mapping[str, Any], message: Message) -> list[dict[str, Any]]:
    """OpenUri becomes Action.OpenUrl; other connector actions have no counterpart here."""
    made = []
    for one in part.get("potentialAction") or []:
        targets = one.get("targets") if isinstance(one, Mapping) else None
        uri = (
            targets[0].get("uri")
            if isinstance(targets, list) and targets and isinstance(targets[0], Mapping)
            else None
        )
        if isinstance(one, Mapping) and one.get("@type") == "OpenUri" and safe_link(uri):
            made.append({"type": "Action.OpenUrl", "title": str(one.get("name") or "Open"), "url": uri})
    if message.link and not made:
        made.append({"type": "Action.OpenUrl", "title": "Open in the hub", "url": message.link})
    return made


def carry_out(step: Step, settings: Mapping[str, Any], network: Network, _: Owed) -> Receipt:
    """Raises DeliveryError."""
    urls = settings.get("recipientUrls")
    name = str(step.request["recipient"])
    url = str(urls.get(name, "")) if isinstance(urls, Mapping) else ""
    if not url:
        raise DeliveryError(
            "unknown_recipient", f"recipientUrls has no {name[:80]!r}", "add it", kind="recipient"
        )
    problem = refused(url)
    if problem is not None:
        raise problem
    body = json.dumps(step.request["body"]).encode()
    if len(body) > MAX_BYTES:
        raise DeliveryError("too_large", "a card of Teams may have 28 KB", kind="message", plainer=True)
    request = Request("POST", url, {"Content-Type": "application/json"}, body)
    return base.judged(base.send(request, network))


def plainer(step: Step) -> Step:
    """The card as one text, for a card that is too large."""
    attachments = step.request["body"].get("attachments") or [{}]
    card = attachments[0].get("content") or {}
    texts = [str(one.get("text", "")) for one in card.get("body") or [] if isinstance(one, Mapping)]
    text = "\n\n".join(text for text in texts if text)[:2000] or "A notification could not be shown"
    short = {"type": "AdaptiveCard", "version": "1.4", "body": [_text(text)]}
    return Step(step.name, {**step.request, "body": _wrapped(short)}, step.unsure, step.pace)
