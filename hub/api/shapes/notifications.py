"""Shapes of deliveries, silences, subscriptions, triggers and templates."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

from hub.api.shapes.fields import anything, flag, make, moment, number, objects, text, texts, words

_DELIVERY: dict[str, Any] = {
    "id": number(),
    "state": text(),
    "kind": text(),
    "destination": text(),
    "event": text(),
    "application": text(),
    "project": text(),
    "trigger": text(),
    "because": texts(),
    "attempts": number(),
    "error_code": text(),
    "error": text(),
    "error_hint": text(),
    "created_at": moment(),
    "sent_at": moment(),
}
DeliverySummary = make("DeliverySummary", "A line of a list.", **_DELIVERY)
Delivery = make(
    "Delivery",
    "One Message owed to one Destination: what was sent, or why it was not.",
    **_DELIVERY,
    event_key=text(),
    rendered=text(),
    rendered_why=text(),
    remarks=texts(),
    steps=objects(),
    tries=objects(),
    silence=s.IntegerField(required=False, allow_null=True),
    folded_into=s.IntegerField(required=False, allow_null=True),
    resend_of=s.IntegerField(required=False, allow_null=True),
)
Resent = make("Resent", "The new delivery.", id=number())
NotificationDestination = make(
    "NotificationDestination",
    "Where messages go, and whether they can.",
    id=number(),
    service=text(),
    recipient=text(),
    state=text(),
    reason=text(),
    operators=flag(),
    throttled_until=moment(),
)
Tested = make(
    "Tested", "How the test ended.", ok=flag(), delivery=number(), code=text(), message=text(), hint=text()
)
Enabled = make("Enabled", "How many held messages go out.", resumed=number())
NewSilence = make(
    "NewSilence",
    "What is silent (any of app, project, cluster, event, destination; globs), from when, until when, and why.",
    matcher=words(),
    starts_at=moment(),
    ends_at=s.DateTimeField(),
    reason=s.CharField(),
)
Silence = make(
    "Silence",
    "Suppresses what it matches, and remembers it.",
    id=number(),
    matcher=words(),
    starts_at=moment(),
    ends_at=moment(),
    author=text(),
    reason=text(),
    suppressed=number(),
)
Subscription = make(
    "Subscription",
    "Who wants what. `owner` is a project, or empty for the hub.",
    name=s.CharField(),
    owner=text(),
    destinations=texts(),
    triggers=texts(),
    events=texts(),
    projects=texts(),
    namespaces=texts(),
    app_selector=text(),
    cluster_selector=text(),
    minimum_severity=text(),
    enabled=flag(),
    until=moment(),
    digest=s.DictField(required=False),
    mention=text(),
)
Rule = make(
    "NotificationRule",
    "A trigger or a template, as it was written.",
    name=text(),
    project=text(),
    kind=text(),
    enabled=flag(),
    text=text(),
    errors=number(),
    last_error=text(),
    last_error_event=text(),
)
OfEvent = make("OfEvent", "The key of a stored event.", event=s.CharField())
Judged = make("Judged", "What each condition says.", conditions=objects())
RenderRequest = make(
    "RenderRequest",
    "A stored event, and the service (and recipient) it would be sent to.",
    event=s.CharField(),
    service=s.CharField(),
    recipient=text(),
)
Rendered = make(
    "Rendered", "The exact requests; nothing is sent.", steps=objects(), remarks=texts(), fallback=text()
)
Explained = make("Explained", "Who gets it, why, why not.", lines=texts())
ImportRequest = make(
    "ImportRequest",
    "A ConfigMap and a Secret of argocd-notifications, as JSON.",
    config_map=anything(),
    secret=anything(),
    project=text(),
)
ImportReport = make("ImportReport", "What became of each key.", lines=objects(), dry_run=flag())
