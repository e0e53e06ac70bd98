"""Which fields the template block of each channel has, and what kind of text each one is (notifications.md 10).

Kinds: `mrkdwn` Slack text · `slack_document`, `document` JSON or YAML · `text` · `header` one line · `html` text that
becomes HTML when the service says so · `wire` text that may carry secrets · `wire_body` the same, and JSON when it
looks like it · `static` not a template. Merging of several templates: `fields` later non-empty field wins, `block` the
later block replaces the whole, `first` the same per first name (a webhook service, a sub-block of GitHub).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Merge = Literal["fields", "block", "first"]


class ChannelFields(NamedTuple):
    """`kinds` maps a path to its kind; `*` stands for any one name."""

    merge: Merge
    kinds: Mapping[tuple[str, ...], str]


def _kinds(kind: str, *paths: str) -> dict[tuple[str, ...], str]:
    return {tuple(path.split(".")): kind for path in paths}


_TEAMS = {
    **_kinds("text", "title", "text", "summary", "themeColor"),
    **_kinds("document", "facts", "sections", "potentialAction", "adaptiveCard", "template"),
}
CHANNELS: Mapping[str, ChannelFields] = {
    "slack": ChannelFields(
        "block",
        {
            **_kinds("text", "username", "icon", "groupingKey"),
            **_kinds("slack_document", "attachments", "blocks"),
            **_kinds("static", "notifyBroadcast", "deliveryPolicy"),
        },
    ),
    "email": ChannelFields("fields", {("subject",): "header", ("body",): "html"}),
    "webhook": ChannelFields(
        "first", {("*", "method"): "static", ("*", "path"): "wire", ("*", "body"): "wire_body"}
    ),
    "teams": ChannelFields("fields", _TEAMS),
    "teams-workflows": ChannelFields("fields", _TEAMS),
    "github": ChannelFields(
        "first",
        {
            **_kinds(
                "text", "repoURLPath", "revisionPath", "status.state", "status.label", "status.targetURL"
            ),
            **_kinds("text", "deployment.state", "deployment.environment", "deployment.environmentURL"),
            **_kinds("text", "deployment.logURL", "deployment.reference"),
            **_kinds("static", "deployment.requiredContexts", "deployment.autoMerge"),
            **_kinds("static", "deployment.transientEnvironment", "pullRequestComment.commentTag"),
            **_kinds("text", "pullRequestComment.content", "checkRun.name", "checkRun.details_url"),
            **_kinds("text", "checkRun.status", "checkRun.conclusion", "checkRun.started_at"),
            **_kinds("text", "checkRun.completed_at", "checkRun.output.title", "checkRun.output.summary"),
            **_kinds("text", "checkRun.output.text", "repositoryDispatch.event_type"),
            **_kinds("document", "repositoryDispatch.client_payload"),
        },
    ),
}
# Their template blocks are read and reported; nothing is sent through them yet.
NOT_YET = frozenset(
    [
        "mattermost",
        "telegram",
        "googlechat",
        "opsgenie",
        "pagerduty",
        "pagerdutyv2",
        "grafana",
        "alertmanager",
        "rocketchat",
        "pushover",
        "newrelic",
        "webex",
        "nats",
        "awssqs",
        "gcppubsub",
    ]
)
ALIASES = {"teamsworkflows": "teams-workflows"}


def kind_at(channel: str, path: tuple[str, ...]) -> tuple[tuple[str, ...], str] | None:
    """The path as the channel spells it and its kind; names match without regard to case, as Go's JSON does."""
    for known, kind in CHANNELS[channel].kinds.items():
        if len(known) == len(path) and all(
            name in ("*", given) or name.lower() == given.lower()
            for name, given in zip(known, path, strict=True)
        ):
            return tuple(
                given if name == "*" else name for name, given in zip(known, path, strict=True)
            ), kind
    return None
