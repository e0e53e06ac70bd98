"""What somebody else changed since a caller read a document, from the audit: the `fields` of a 412 (AP6, W29)."""

from __future__ import annotations

from collections.abc import Callable

from hub.models import AuditEvent


def since(resource: str, name: str, generation: int) -> Callable[[int], dict[str, list[str]]]:
    """A function from the generation that was seen to {field: [who changed it]}."""

    def changed(seen: int) -> dict[str, list[str]]:
        missed = min(generation - seen, 50)
        if missed <= 0:
            return {}
        rows = AuditEvent.objects.filter(resource=resource, object_name=name, action="update", outcome="done")
        found: dict[str, list[str]] = {}
        for row in rows.order_by("-id")[:missed]:
            for field in row.after:
                found.setdefault(field, [f"was changed by {row.actor_name or row.actor_kind}"])
        return found

    return changed
