"""Writing the audit, always inside the transaction of what it describes (access-and-api.md AU3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import hub.services.statements as statements
from guard.redact import redact
from hub.models import AuditEvent
from hub.services.actors import Actor

MASKED = "********"
SECRET_WORDS = ("password", "token", "private_key", "client_key", "secret", "proxy_url")


def masked(document: Mapping[str, Any]) -> dict[str, Any]:
    """A copy whose secret fields show only whether something was there, and whose texts are redacted."""
    return {key: _masked(key, value) for key, value in document.items()}


def _masked(key: str, value: Any) -> Any:
    if any(word in key.lower() for word in SECRET_WORDS):
        return MASKED if value else ""
    if isinstance(value, Mapping):
        return masked(value)
    if isinstance(value, list):
        return [_masked("", item) for item in value]
    return redact(value, limit=2000) if isinstance(value, str) else value


def record(
    actor: Actor,
    action: str,
    *,
    resource: str = "",
    name: str = "",
    project: str = "",
    outcome: str = "done",
    code: str = "",
    reason: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    level: int = 1,
) -> None:
    """One line: who did what to which object, how it ended; before and after only as far as they differ."""
    old, new = masked(before or {}), masked(after or {})
    if before is not None and after is not None:
        changed = {key for key in {*old, *new} if old.get(key) != new.get(key)}
        old = {key: value for key, value in old.items() if key in changed}
        new = {key: value for key, value in new.items() if key in changed}
    line = AuditEvent(
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
        via=actor.via,
        address=actor.address,
        request_id=actor.request_id,
        action=action,
        resource=resource,
        object_name=name[:300],
        project=project,
        outcome=outcome,
        code=code,
        reason=redact(reason, limit=500),
        before=old,
        after=new,
        level=level,
    )
    statements.insert([line])
