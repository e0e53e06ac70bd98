"""What `build_plan` is made from: who asks for what, and what is known (sync-semantics.md 2, 4, 12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from clusters.core.discovery import Discovery
from clusters.core.hooks import HookSuccess
from clusters.core.manifests import Manifest, ResourceKey, group_of
from clusters.core.plan.model import OperationKind
from clusters.core.plan.options import DEFAULT_OPTIONS, SyncOptions

PROTECTED_KINDS = frozenset(
    {
        ("", "Namespace"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("", "PersistentVolume"),
        ("", "PersistentVolumeClaim"),
    }
)


@dataclass(frozen=True, slots=True)
class PruneBudget:
    """Deletions of one operation that need no confirmation (sync-semantics.md 10.5)."""

    most: int = 20
    from_count: int = 5
    percent: float = 30.0

    def broken(self, deleted: int, managed: int) -> str:
        """Why `deleted` of `managed` objects need confirmation, empty if they do not."""
        if deleted > self.most:
            return f"{deleted} objects would be deleted, more than {self.most}"
        if deleted >= self.from_count and deleted * 100 > self.percent * managed:
            return f"{deleted} of {managed} managed objects would be deleted, more than {self.percent:g} %"
        return ""


DEFAULT_BUDGET = PruneBudget()


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """Who asks for what. `resources` choose by `group:Kind:namespace/name` (`!` excludes), `keys` are those of a heal.

    `identity` (app_uid, cluster_uid, sources, manifest_digest) goes into the plan digest only. `may_empty`: when nothing is
    wanted, everything may be pruned without asking people. `longest_hook`: seconds that no annotation may exceed, 0 = any.
    """

    operation: str
    application: str
    hub_id: str
    namespace: str
    started_at: datetime
    kind: OperationKind = "sync"
    attempt: int = 1
    revisions: tuple[str, ...] = ()
    options: SyncOptions = DEFAULT_OPTIONS
    prune: bool = False
    dry_run: bool = False
    force: bool = False
    apply_all: bool = False
    skip_hooks: bool = False
    run_all_hooks: bool = False
    resources: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    keys: frozenset[ResourceKey] = frozenset()
    may_empty: bool = True
    longest_hook: float = 0.0
    namespace_metadata: Mapping[str, Mapping[str, str]] | None = None
    namespace_manager: str = ""
    namespace_stale: bool = False
    migration_manager: str = ""
    identity: Mapping[str, Any] = field(default_factory=dict)


def _everyone_lives(_application: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What is known when the plan is made.

    `live` holds every managed object and every target that exists; a key that is absent or None does not exist.
    `in_place`: proven in place (same desired hash, valid Baseline, no Drift). `violations`: the Project refuses, with
    the sentence. `incomplete`: kinds (group, kind) whose listing is incomplete. `hooks`, `hook_choices`: by source.
    `completed`: run-once Jobs that finished for the present desired hash and are gone, with "completed 14:02, removed by
    its TTL". `installed`: a full sync succeeded at this destination before. `confirmed_prunes`: key to UID. `adopted`: objects taken over from no GitOps owner.
    """

    desired: Sequence[Manifest]
    live: Mapping[ResourceKey, Manifest | None]
    discovery: Discovery
    living: Callable[[str], bool] = _everyone_lives
    violations: Mapping[ResourceKey, str] = field(default_factory=dict)
    invalid: Sequence[tuple[ResourceKey, str]] = ()
    incomplete: frozenset[tuple[str, str]] = frozenset()
    in_place: frozenset[ResourceKey] = frozenset()
    hooks: Mapping[str, HookSuccess] = field(default_factory=dict)
    hook_choices: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] | None = None
    completed: Mapping[ResourceKey, str] = field(default_factory=dict)
    installed: bool = False
    confirmed_prunes: Mapping[ResourceKey, str] = field(default_factory=dict)
    confirmed_adoptions: frozenset[ResourceKey] = frozenset()
    adopted: frozenset[ResourceKey] = frozenset()
    protected_kinds: frozenset[tuple[str, str]] = PROTECTED_KINDS
    budget: PruneBudget = DEFAULT_BUDGET


def source_of(manifest: Manifest) -> str:
    """The reference by which a task finds its desired manifest again; `prefix*` for generateName."""
    metadata = manifest.get("metadata") or {}
    name = metadata.get("name") or f"{metadata.get('generateName') or ''}*"
    return f"{group_of(manifest)}/{manifest.get('kind')}/{metadata.get('namespace') or ''}/{name}"


def index_desired(desired: Sequence[Manifest]) -> dict[str, Manifest]:
    """The desired manifests by `source_of`, as `Observed.desired` wants them."""
    return {source_of(manifest): manifest for manifest in desired}
