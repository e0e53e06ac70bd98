"""What the rules of a Project are asked about, and how they answer (access-and-api.md 1.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from clusters.core.manifests import ResourceKey
from hub.core.policy.rules import Rules


class Violation(NamedTuple):
    """One rule that refuses: its number in the table of 1.4, the object, the sentence, and what helps."""

    rule: int
    object: str
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Fence:
    """One Project as it counts: its own rules and those of every ceiling over it, which must agree (1.5)."""

    project: str
    rules: Rules
    ceilings: tuple[Rules, ...] = ()
    exists: bool = True
    archived: bool = False

    @property
    def every(self) -> tuple[Rules, ...]:
        return (self.rules, *self.ceilings)


@dataclass(frozen=True, slots=True)
class SourceFact:
    """One source; `scoped_to` is the Project that its Repository or credential belongs to, empty for global ones."""

    url: str
    scoped_to: str = ""
    uses_plugin: bool = False


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an Application goes. `asked_server`, `asked_name`: what it says; the rest: the Cluster it means.

    `namespaces` non-empty restricts the Cluster (CL9); then `cluster_resources` says whether it takes cluster scope.
    """

    asked_server: str = ""
    asked_name: str = ""
    registered: bool = True
    server: str = ""
    name: str = ""
    namespace: str = ""
    scoped_to: str = ""
    namespaces: tuple[str, ...] = ()
    cluster_resources: bool = True
    is_hub_cluster: bool = False


@dataclass(frozen=True, slots=True)
class ApplicationFacts:
    """One Application at a door or before a plan. `namespace` is its own, empty = the hub's main namespace."""

    name: str
    sources: tuple[SourceFact, ...]
    destination: Destination
    namespace: str = ""
    automated: bool = False
    prune: bool = False
    applications: int = 0


@dataclass(frozen=True, slots=True)
class HubPlaces:
    """What is protected (rule 13): the hub's own namespace on its own cluster, and objects with hub credentials."""

    namespace: str = ""
    credentials: frozenset[ResourceKey] = field(default_factory=frozenset)
    may_manage: bool = False
