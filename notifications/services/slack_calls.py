"""Slack from the other side: reading what Slack posts to us, and the few calls that answer a person.

Approvals build on these. What is clicked is never believed: who clicked is `user.id` and `team.id`, everything else
in an interaction is only shown (notifications.md 9).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

import structlog
from django.db.models import QuerySet

import notifications.services.clock as clock
import notifications.services.configured as configured
import notifications.services.rendering as rendering
from guard.fields import DecryptionError
from notifications.channels import slack, slackblocks
from notifications.channels.base import DeliveryError, Network
from notifications.core.links import safe_link
from notifications.core.templates import card_message
from notifications.errors import NotificationError
from notifications.models import Service, Thread

log = structlog.get_logger(__name__)
MAX_BODY = 1024 * 1024


class SlackRequestRefused(NotificationError):
    """`off` (404: no secret is configured), `too_large` (413), `unsigned` (401), `shape` (400)."""

    STATUS = {"off": 404, "too_large": 413, "unsigned": 401, "shape": 400}

    @property
    def status(self) -> int:
        return self.STATUS[self.code]


@dataclass(frozen=True)
class Interaction:
    """One click or submission. `signature` tells a replay from a new one; a missing part is an empty text."""

    kind: str
    service: str
    user_id: str
    team_id: str
    user_team_id: str
    api_app_id: str
    trigger_id: str = ""
    channel_id: str = ""
    message_ts: str = ""
    action_id: str = ""
    value: str = ""
    callback_id: str = ""
    private_metadata: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    signature: str = ""
    is_enterprise: bool = False


def read_slack_request(headers: Mapping[str, str], body: bytes) -> Interaction:
    """Verify, then parse. `headers` by any case. Raises SlackRequestRefused; nothing of a refused body is kept.

    The secret of every Slack service of the hub is tried, each may hold two (`signingSecret` as a list, or separated by a comma)
    while it is being rotated.
    """
    secrets = signing_secrets()
    if not secrets:
        raise SlackRequestRefused("off", "no Slack service has a signing secret")
    if len(body) > MAX_BODY:
        raise SlackRequestRefused("too_large", "the body is larger than 1 MB")
    given = {str(name).lower(): value for name, value in headers.items()}
    stamp, signature = given.get("x-slack-request-timestamp"), given.get("x-slack-signature")
    now = clock.now().timestamp()
    service = next(
        (name for name, secret in secrets if slack.signed(secret, stamp, signature, body, now)), None
    )
    if service is None:
        raise SlackRequestRefused("unsigned", "the request is not signed by Slack")
    return replace(read_payload(_payload(body), service), signature=signature or "")


def _payload(body: bytes) -> Any:
    try:
        fields = parse_qs(body.decode(), strict_parsing=True, max_num_fields=20)
        return json.loads(fields["payload"][0])
    except (ValueError, KeyError, RecursionError):
        raise SlackRequestRefused("shape", "the body holds no payload") from None


def read_payload(payload: Any, service: str) -> Interaction:
    """The same value from an HTTP body or a socket envelope. SlackRequestRefused (`shape`) when a part is missing."""
    if not isinstance(payload, Mapping) or payload.get("type") not in ("block_actions", "view_submission"):
        raise SlackRequestRefused("shape", "this kind of interaction is not known")
    user, team = _map(payload, "user"), _map(payload, "team")
    actions = payload.get("actions")
    action = actions[0] if isinstance(actions, list) and actions and isinstance(actions[0], Mapping) else {}
    container, view = _map(payload, "container"), _map(payload, "view")
    found = Interaction(
        kind=str(payload["type"]),
        service=service,
        user_id=_text(user, "id"),
        team_id=_text(team, "id"),
        user_team_id=_text(user, "team_id"),
        api_app_id=_text(payload, "api_app_id"),
        trigger_id=_text(payload, "trigger_id"),
        channel_id=_text(container, "channel_id") or _text(_map(payload, "channel"), "id"),
        message_ts=_text(container, "message_ts"),
        action_id=_text(action, "action_id"),
        value=_text(action, "value"),
        callback_id=_text(view, "callback_id"),
        private_metadata=_text(view, "private_metadata"),
        inputs=_inputs(view),
        is_enterprise=bool(payload.get("is_enterprise_install")),
    )
    if not found.user_id or not found.team_id or not found.api_app_id:
        raise SlackRequestRefused("shape", "the interaction does not say who acted")
    return found


def _map(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = value.get(key)
    return part if isinstance(part, Mapping) else {}


def _text(value: Mapping[str, Any], key: str) -> str:
    text = value.get(key)
    return text[:4000].replace("\0", "") if isinstance(text, str) else ""


def _inputs(view: Mapping[str, Any]) -> dict[str, str]:
    """Texts of a submitted modal, by action id."""
    made: dict[str, str] = {}
    for block in _map(_map(view, "state"), "values").values():
        for action_id, one in block.items() if isinstance(block, Mapping) else ():
            if isinstance(one, Mapping):
                made[str(action_id)] = _text(one, "value")
    return made


def trusted() -> QuerySet[Service]:
    """The hub's own Slack services. Who holds a signing secret says who clicked, so a project's service never does."""
    return Service.objects.filter(type=slack.TYPE, project="").order_by("name")


def signing_secrets() -> list[tuple[str, str]]:
    found = []
    for row in trusted():
        try:
            given = configured.settings_of(row.settings).get("signingSecret")
        except DecryptionError as error:
            # One service that cannot be read silences no other; what it signed is not believed.
            log.error("the secret of a service cannot be read", service=row.name, why=str(error))
            continue
        several = given if isinstance(given, list) else str(given or "").split(",")
        found += [(row.name, str(one).strip()) for one in several if str(one).strip()]
    return found


# -- calls


@dataclass(frozen=True)
class Home:
    """The workspace and the app that a service belongs to: a click from elsewhere is not meant for this hub."""

    team_id: str
    app_id: str


def home(service: str, seconds: float = 1.0) -> Home:
    """As the settings `teamId` and `appId` say, else as Slack says of the token. Raises DeliveryError."""
    # Two calls may be needed, and together they get this long.
    settings, network = reach(service, seconds / 2)
    team, app = str(settings.get("teamId") or ""), str(settings.get("appId") or "")
    if team and app:
        return Home(team, app)
    who = slack.call("auth.test", {}, settings, network, form=True)
    if not app:
        bot = slack.call("bots.info", {"bot": str(who.get("bot_id", ""))}, settings, network, form=True)
        app = _text(_map(bot, "bot"), "app_id")
    return Home(team or _text(who, "team_id"), app)


def services_of_team(team_id: str) -> list[str]:
    """Names of the hub's Slack services in this workspace, as far as Slack answers."""
    found = []
    for row in trusted():
        try:
            if home(row.name).team_id == team_id:
                found.append(row.name)
        except DeliveryError as error:
            log.info("a workspace is not known now", service=row.name, code=error.code)
    return found


def open_modal(service: str, trigger_id: str, view: Mapping[str, Any]) -> None:
    """`views.open` within 2 s and without a retry: the trigger lives 3 s. Raises DeliveryError."""
    slack.call("views.open", {"trigger_id": trigger_id, "view": dict(view)}, *reach(service, 2.0))


def post_ephemeral(
    service: str,
    channel_id: str,
    user_id: str,
    text: str,
    *,
    link: tuple[str, str] | None = None,
    seconds: float = 5.0,
) -> None:
    """A private answer in a channel: the text is escaped, no mention and no link but `link` (label, address).

    Raises DeliveryError.
    """
    shown = slackblocks.escape(text)[:3000]
    address = safe_link(link[1]) if link is not None else None
    if link is not None and address is not None:
        shown += f"\n<{slackblocks.escape(address)}|{slackblocks.escape(link[0])}>"
    arguments = {
        "channel": channel_id,
        "user": user_id,
        "text": shown,
        "parse": "none",
        "link_names": False,
    }
    slack.call("chat.postEphemeral", arguments, *reach(service, seconds))


def rewrite_card(service: str, channel_id: str, event: Mapping[str, Any], *, seconds: float = 5.0) -> None:
    """Bring the card in this channel to what the event says, if there is one. Raises DeliveryError."""
    message = card_message(event)
    settings, network = reach(service, seconds)
    rows = Thread.objects.filter(
        service__name=service, service__project="", channel_id=channel_id, key=message.thread
    ).exclude(root="")
    for row in rows:
        content = slackblocks.content(message, settings, event)
        allowed = {key: value for key, value in content.items() if key in ("text", "blocks", "attachments")}
        arguments = {"channel": channel_id, "ts": row.root, **allowed, "parse": "none", "link_names": False}
        slack.call("chat.update", arguments, settings, network)


def user_info(service: str, user_id: str, seconds: float = 1.0) -> dict[str, Any]:
    """`users.info` within 1 s; no answer is an error and never a permission. Raises DeliveryError."""
    answer = slack.call("users.info", {"user": user_id}, *reach(service, seconds), form=True)
    user = answer.get("user")
    return dict(user) if isinstance(user, Mapping) else {}


def reach(service: str, seconds: float) -> tuple[Mapping[str, Any], Network]:
    """Settings in the clear and who may be dialled. Raises NotificationError for a service that is not the hub's."""
    row = trusted().filter(name=service).first()
    if row is None:
        raise NotificationError("unknown_service", f"there is no Slack service {service[:60]!r}")
    return configured.settings_of(row.settings), replace(rendering.network(), timeout_s=seconds)
