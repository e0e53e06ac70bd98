"""Operations, resources, events, audit, the hub itself."""

from __future__ import annotations

from rest_framework import serializers as s

from hub.api.shapes.applications import Retry
from hub.api.shapes.fields import Fields, flag, make, moment, number, objects, text, texts, words

Error = make(
    "Error",
    "Every failure has this shape.",
    code=s.CharField(),
    message=s.CharField(),
    hint=s.CharField(allow_blank=True),
    fields=s.DictField(child=s.ListField(child=s.CharField()), required=False),
)

SyncRequest = make(
    "SyncRequest",
    "What to sync, and how; everything may be left out.",
    revisions=texts(),
    dry_run=flag(),
    prune=flag(),
    force=flag(),
    apply_all=flag(),
    skip_hooks=flag(),
    run_all_hooks=flag(),
    resources=objects(),
    labels=words(),
    strategy=text(),
    retry=Retry(required=False),
    reason=text(),
    sync_options=texts(),
)
TakeoverRequest = make(
    "TakeoverRequest",
    "What to take over from its owners; without resources all that is wanted and shared.",
    dry_run=flag(),
    resources=objects(),
    reason=text(),
)
PlanRequest = make(
    "PlanRequest",
    "What to plan: a sync, or with takeover: true a takeover of the same resources.",
    revisions=texts(),
    prune=flag(),
    force=flag(),
    apply_all=flag(),
    skip_hooks=flag(),
    run_all_hooks=flag(),
    resources=objects(),
    labels=words(),
    strategy=text(),
    sync_options=texts(),
    takeover=flag(),
)
Confirmation = make("Confirmation", "Names the digest that waits.", digest=s.CharField(), choice=text())
_OPERATION: Fields = {
    "id": s.UUIDField(required=False),
    "number": number(),
    "application": text(),
    "project": text(),
    "kind": text(),
    "phase": text(),
    "initiator": s.DictField(required=False),
    "revisions": texts(),
    "message": text(),
    "attempt": number(),
    "created_at": moment(),
    "started_at": moment(),
    "finished_at": moment(),
}
OperationSummary = make("OperationSummary", "A line of a list.", **_OPERATION)
Operation = make(
    "Operation",
    "One accepted request and what became of it.",
    **_OPERATION,
    request=s.DictField(required=False),
    plan_digest=text(),
    results=objects(),
    wait=s.DictField(required=False),
    retry_at=moment(),
    terminate_requested=flag(),
    confirmed=objects(),
)
_KEY: Fields = {
    "group": text(),
    "kind": text(),
    "namespace": text(),
    "name": text(),
    "status": text(),
    "reason": text(),
}
Resource = make(
    "Resource",
    "One object.",
    **_KEY,
    version=text(),
    message=text(),
    health=text(),
    health_message=text(),
    hook=flag(),
    wave=number(),
)
Difference = make("Difference", "How one object differs.", **_KEY, lines=objects())
Manifests = make("Manifests", "Secrets are masked.", digest=text(), revisions=texts(), items=objects())
WindowDecision = make(
    "WindowDecision",
    "May it sync now; `until` is when the answer next changes.",
    allowed=flag(),
    reason=text(),
    window=text(),
    until=moment(),
)
Windows = make(
    "Windows",
    "What SyncWindows say to automation and to people, and every window that matches.",
    automatic=WindowDecision(),
    manual=WindowDecision(),
    windows=objects(),
)

# Records and the hub itself
Event = make(
    "Event",
    "Something happened.",
    id=number(),
    key=text(),
    name=text(),
    severity=text(),
    summary=text(),
    application=text(),
    project=text(),
    occurred_at=moment(),
    resolves=text(),
)
AuditEvent = make(
    "AuditEvent",
    "Who did what.",
    id=number(),
    at=moment(),
    actor=words(),
    via=text(),
    address=text(),
    request_id=text(),
    action=text(),
    resource=text(),
    object=text(),
    project=text(),
    outcome=text(),
    code=text(),
    reason=text(),
    before=s.DictField(required=False),
    after=s.DictField(required=False),
    level=number(),
    cwe=s.IntegerField(required=False, allow_null=True),
)
Version = make("Version", "Which hub this is.", version=text(), api=text(), django=text(), python=text())
Settings = make("Settings", "By name.", settings=s.DictField())
