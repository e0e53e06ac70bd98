"""Slack: the only module that knows its SDK (notifications.md 7).

The SDK's client builds the calls; its transport is ours, so that addresses are checked, nothing is repeated behind our
back, and a lost answer is told from a refused one. Texts that are data are escaped or `plain_text`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.request import Request as UrllibRequest

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.signature import SignatureVerifier

import notifications.channels.base as base
import notifications.channels.slackblocks as slackblocks
from notifications.channels.base import Answer, DeliveryError, Network, Owed, Receipt, Request, Step
from notifications.core.templates import Message

TYPE = "slack"
# People read it: many messages of one kind may become one.
FOLDS = True
SECRETS = frozenset(["token", "appToken", "signingSecret"])
KNOWN = SECRETS | {
    "username",
    "icon",
    "channels",
    "apiURL",
    "disableUnfurl",
    "insecureSkipVerify",
    "mode",
    "teamId",
    "appId",
}
DEFAULT_API = "https://slack.com/api/"
EVENT_TYPE = "hub_delivery"
MOST_ANSWER = 1024 * 1024
_PAGES = 5
# Slack's clock and the database's may differ; looking a little further back only costs a page.
CLOCK_DIFFERENCE_S = 300.0

_RETRY = {"service_unavailable", "request_timeout", "update_failed"}
_SLOW = {"team_added_to_org", "org_login_required", "external_channel_migrating", "accesslimited"}
_UNSURE = {"internal_error", "fatal_error"}
_RECIPIENT = {
    "channel_not_found", "not_in_channel", "is_archived", "is_inactive", "no_permission", "user_disabled",
    "cannot_dm_bot",
}  # fmt: skip
_SERVICE = {
    "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "missing_scope",
    "not_allowed_token_type", "access_denied", "ekm_access_denied", "team_access_not_granted",
    "enterprise_is_restricted", "two_factor_setup_required",
}  # fmt: skip
_MESSAGE = {
    "invalid_blocks", "invalid_blocks_format", "invalid_attachments", "msg_too_long", "no_text",
    "too_many_attachments", "invalid_arguments", "metadata_too_large", "block_mismatch",
}  # fmt: skip
_ROOT = {"message_not_found", "thread_not_found"}
_REPLY = {"cant_update_message", "edit_window_closed"}

_log = logging.getLogger("notifications.slack")
_log.setLevel(logging.CRITICAL)


class _Client(WebClient):
    """The SDK's client over our transport; whatever its status, an answer is returned to be judged."""

    def __init__(self, token: str, url: str, network: Network, *, insecure: bool, most: int) -> None:
        # A proxy from the environment is not used: the transport below does not know one.
        super().__init__(token=token, base_url=url, timeout=10, retry_handlers=[], logger=_log)
        self._network, self._insecure, self._most = network, insecure, most
        self.answer: Answer | None = None

    def _perform_urllib_http_request_internal(self, url: str, req: UrllibRequest) -> dict[str, Any]:
        body = req.data if isinstance(req.data, bytes) else b""
        headers = {name: str(value) for name, value in req.header_items()}
        request = Request("POST", url, headers, body, self._insecure, self._most)
        self.answer = base.send(request, self._network)
        return {"status": self.answer.status, "headers": dict(self.answer.headers), "body": self.answer.text}


@dataclass(frozen=True)
class Call:
    """One call of the Web API: its method name and arguments."""

    method: str
    arguments: Mapping[str, Any]


def call(
    method: str,
    arguments: Mapping[str, Any],
    settings: Mapping[str, Any],
    network: Network,
    *,
    form: bool = False,
) -> dict[str, Any]:
    """The answer of one call. Raises DeliveryError. `form`: read methods take form fields instead of JSON."""
    client = _Client(
        str(settings.get("token") or ""),
        str(settings.get("apiURL") or DEFAULT_API),
        network,
        insecure=bool(settings.get("insecureSkipVerify")),
        most=MOST_ANSWER,
    )
    try:
        if form:
            answer = client.api_call(method, params=dict(arguments))
        else:
            answer = client.api_call(method, json=dict(arguments))
    except SlackApiError as error:
        raise judged(
            client.answer, error.response.get("error"), arguments, error.response.get("needed")
        ) from None
    except (SlackClientError, ValueError):
        raise judged(client.answer, None, arguments) from None
    data = answer.data
    return data if isinstance(data, dict) else {}


def judged(
    answer: Answer | None, error: object, arguments: Mapping[str, Any], needed: object = ""
) -> DeliveryError:
    """What a refusal means, by the table of notifications.md 7."""
    if answer is None:
        return DeliveryError("not_sent", "the call could not be built", kind="message")
    status, text = answer.status, answer.text
    wait = base.retry_after(answer)
    if status == 429 or error in ("ratelimited", "rate_limited"):
        return DeliveryError("ratelimited", "Slack asks to wait", kind="wait", retry_after=wait, answer=text)
    if status in (500, 502, 504):
        return DeliveryError(f"http_{status}", f"Slack answered {status}", kind="unsure", answer=text)
    if status == 503:
        return DeliveryError("http_503", "Slack answered 503", kind="passing", answer=text)
    try:
        error = json.loads(text).get("error") or error
    except (ValueError, AttributeError):
        kind = "unsure" if status < 300 else "unknown"
        return DeliveryError(f"http_{status}", f"Slack answered {status} and no JSON", kind=kind, answer=text)  # type: ignore[arg-type]
    return _named(str(error or "unknown")[:60], arguments, str(needed or ""), text)


def _named(code: str, arguments: Mapping[str, Any], needed: str, text: str) -> DeliveryError:
    sentence = f"Slack says {code}"
    if code in _RETRY or code in _SLOW:
        return DeliveryError(code, sentence, kind="passing", slow=code in _SLOW, answer=text)
    if code in _UNSURE:
        return DeliveryError(code, sentence, kind="unsure", answer=text)
    if code in _RECIPIENT or code.startswith("restricted_action"):
        channel = str(arguments.get("channel", ""))[:80]
        return DeliveryError(code, sentence, f"invite the app to {channel}", kind="recipient", answer=text)
    if code in _SERVICE:
        hint = (
            f"grant the scope {needed}"
            if code == "missing_scope" and needed
            else "renew the token of the service"
        )
        return DeliveryError(code, sentence, hint, kind="service", answer=text)
    if code in _MESSAGE or code.startswith("invalid_metadata"):
        return DeliveryError(code, sentence, kind="message", plainer=True, answer=text)
    if code in _ROOT:
        return DeliveryError(code, sentence, kind="root", answer=text)
    if code in _REPLY:
        return DeliveryError(code, sentence, kind="reply", answer=text)
    return DeliveryError(code, sentence, kind="unknown", answer=text)


# -- preparing


def check(settings: Mapping[str, Any]) -> list[str]:
    """What is wrong with the settings, as sentences."""
    return [] if settings.get("token") else ["token is missing"]


def prepare(message: Message, recipient: str, settings: Mapping[str, Any], owed: Owed) -> list[Step]:
    """The steps by policy and by whether the thread has a root (`owed.root`)."""
    content = slackblocks.content(message, settings, owed.event)
    channel = owed.root_channel or owed.channel_id or recipient
    if not owed.root:
        return [_post("post", channel, content, settings, message, owed)]
    update = Step(
        "update-root", {"channel": channel, "ts": owed.root, **_updated(content)}, "harmless", "slack-update"
    )
    if message.policy == "Update":
        return [update]
    said = slackblocks.line(message, content) if message.line else content
    reply = _post("reply", channel, said, settings, message, owed)
    return [reply, update] if message.policy == "PostAndUpdate" else [reply]


def _post(
    name: str,
    channel: str,
    content: Mapping[str, Any],
    settings: Mapping[str, Any],
    message: Message,
    owed: Owed,
) -> Step:
    request: dict[str, Any] = {"channel": channel, **content}
    if owed.root:
        request["thread_ts"] = owed.root
        part = message.parts.get("slack", {})
        if part.get("notifyBroadcast") and not owed.event.get("buttons"):
            request["reply_broadcast"] = True
    if settings.get("disableUnfurl"):
        request |= {"unfurl_links": False, "unfurl_media": False}
    request["metadata"] = {"event_type": EVENT_TYPE, "event_payload": {"id": owed.token}}
    return Step(name, request, "ask", "slack-post")


def _updated(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key in ("text", "blocks", "attachments")}


def plainer(step: Step) -> Step:
    """The same step as text only, for a message whose blocks Slack does not take."""
    request = {
        key: value for key, value in step.request.items() if key not in ("blocks", "attachments", "metadata")
    }
    request["text"] = slackblocks.cut_text(
        str(request.get("text") or "A notification could not be shown"), 3000
    )
    return Step(step.name, request, step.unsure, step.pace)


def as_reply(step: Step, owed: Owed) -> Step:
    """An update that Slack refuses, as a reply below the root."""
    content = _updated(step.request)
    request = {"channel": step.request["channel"], "thread_ts": step.request["ts"], **content}
    request["metadata"] = {"event_type": EVENT_TYPE, "event_payload": {"id": owed.token}}
    return Step("reply", request, "ask", "slack-post")


# -- sending


def carry_out(step: Step, settings: Mapping[str, Any], network: Network, _: Owed) -> Receipt:
    """One post or update. Raises DeliveryError."""
    method = "chat.update" if step.name == "update-root" else "chat.postMessage"
    # The default of chat.update is another, so both say it.
    arguments = {**step.request, "parse": "none", "link_names": False}
    answer = call(method, arguments, settings, network)
    channel, ts = answer.get("channel"), answer.get("ts")
    if not isinstance(channel, str) or not isinstance(ts, str):
        raise DeliveryError("bad_answer", "Slack's answer names no message", kind="unsure")
    return Receipt({"channel": channel, "ts": ts}, "ok")


def ask(step: Step, settings: Mapping[str, Any], network: Network, owed: Owed) -> Receipt | None:
    """Look for the metadata of a post whose outcome is unknown. Raises DeliveryError when Slack cannot be asked."""
    channel = owed.channel_id
    if not channel:
        raise DeliveryError("no_channel_id", "the id of the channel is not known", kind="unknown")
    method = "conversations.replies" if step.request.get("thread_ts") else "conversations.history"
    arguments: dict[str, Any] = {
        "channel": channel,
        "oldest": f"{max(0.0, owed.since - CLOCK_DIFFERENCE_S):.6f}",
        "include_all_metadata": True,
        "limit": 100,
    }
    if step.request.get("thread_ts"):
        arguments["ts"] = step.request["thread_ts"]
    for _ in range(_PAGES):
        answer = call(method, arguments, settings, network, form=True)
        for message in answer.get("messages") or ():
            metadata = message.get("metadata") or {}
            payload = metadata.get("event_payload") or {}
            if metadata.get("event_type") == EVENT_TYPE and payload.get("id") == owed.token:
                return Receipt({"channel": channel, "ts": str(message.get("ts", ""))}, "found")
        cursor = (answer.get("response_metadata") or {}).get("next_cursor")
        if not cursor:
            return None
        arguments["cursor"] = cursor
    raise DeliveryError("too_many", "too many messages since the attempt to find it", kind="unknown")


def resolve(recipient: str, settings: Mapping[str, Any], network: Network) -> str:
    """The channel id of a name, or "" when it cannot be found (the first answer then says it)."""
    name = recipient.lstrip("#")
    if recipient[:1] in ("C", "G", "D", "U") and recipient.isalnum() and recipient.isupper():
        return recipient if recipient[0] in "CGD" else ""
    arguments: dict[str, Any] = {
        "limit": 1000, "exclude_archived": True, "types": "public_channel,private_channel",
    }  # fmt: skip
    for _ in range(_PAGES):
        answer = call("conversations.list", arguments, settings, network, form=True)
        for channel in answer.get("channels") or ():
            if channel.get("name") == name:
                return str(channel.get("id", ""))
        cursor = (answer.get("response_metadata") or {}).get("next_cursor")
        if not cursor:
            break
        arguments["cursor"] = cursor
    return ""


def probe(settings: Mapping[str, Any], network: Network) -> Receipt:
    """`auth.test`: cheap, changes nothing. Raises DeliveryError."""
    answer = call("auth.test", {}, settings, network, form=True)
    return Receipt({"team": str(answer.get("team_id", "")), "user": str(answer.get("user_id", ""))}, "ok")


# -- inbound


def signed(secret: str, timestamp: str | None, signature: str | None, body: bytes, now: float) -> bool:
    """Slack's signature over `v0:<timestamp>:<raw body>`, ±300 s; anything malformed is simply not signed."""
    if not secret or not timestamp or not signature or not timestamp.isascii() or not timestamp.isdigit():
        return False
    if len(timestamp) > 12 or not signature.isascii():
        return False

    class _Clock:
        def now(self) -> float:
            return now

    try:
        return SignatureVerifier(secret, _Clock()).is_valid(body, timestamp, signature)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        # The SDK raises on a body that is not UTF-8.
        return False
