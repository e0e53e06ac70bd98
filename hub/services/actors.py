"""Who asks: a value that every service takes, for rights, audit and the initiator of operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Actor:
    """`kind` user, robot or system; `via` api, admin, cli, slack, git, tick or self-heal."""

    kind: str = "system"
    id: str = ""
    name: str = "hub"
    via: str = "tick"
    address: str = ""
    request_id: str = ""
    is_admin: bool = False

    def initiator(self) -> dict[str, Any]:
        """The shape stored in operations and events (notifications.md 2)."""
        return {
            "kind": "automation" if self.kind == "system" else self.kind,
            "id": self.id,
            "name": self.name,
            "via": self.via,
        }


SYSTEM = Actor()
