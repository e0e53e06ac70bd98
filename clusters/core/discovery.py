"""What kinds a cluster serves: a value, read by the gate, asked by the core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class KindInfo:
    """One served kind in its preferred version. `resource` is the plural of the URL."""

    group: str
    version: str
    kind: str
    resource: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()
    subresources: frozenset[str] = frozenset()
    versions: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True, slots=True)
class Discovery:
    """All served kinds by (group, kind). `broken_groups` could not be read: they are unknown, not absent."""

    kinds: Mapping[tuple[str, str], KindInfo] = field(default_factory=dict)
    digest: str = ""
    broken_groups: frozenset[str] = frozenset()
    server_version: str = ""

    def find(self, group: str, kind: str) -> KindInfo | None:
        return self.kinds.get((group, kind))
