"""Sync options of an Application and of one resource (sync-semantics.md 3.12, 4.2). Total: bad texts are warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any, Literal

from clusters.core.durations import parse_duration
from clusters.core.hooks.classify import annotations_of, words
from clusters.core.manifests import Manifest

SYNC_OPTIONS = "argocd.argoproj.io/sync-options"
ON_IMMUTABLE = "gitops-hub.io/on-immutable"
RESOURCE_POLICY = "helm.sh/resource-policy"

Propagation = Literal["Foreground", "Background", "Orphan"]
Guard = Literal["true", "false", "confirm"]


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """`spec.syncPolicy.syncOptions` of one Application, read. Times are seconds, 0 is off."""

    server_side_apply: bool = True
    migrate_fields: bool = True
    validate: bool = True
    replace: bool = False
    force: bool = False
    apply_out_of_sync_only: bool | None = None
    prune_last: bool = False
    propagation: Propagation = "Foreground"
    prune: Guard = "true"
    delete: Guard = "true"
    skip_dry_run_on_missing: bool = False
    fail_on_shared: bool = False
    respect_ignore_differences: bool = False
    create_namespace: bool = False
    wait_for_healthy: bool = False
    dry_run: Literal["auto", "server", "local"] = "auto"
    supersede: Literal["retry", "waiting", "never"] = "retry"
    helm_hooks: Literal["argocd", "helm"] = "argocd"
    hooks_on_self_heal: Literal["never", "changed", "always"] = "never"
    wave_delay: float = 0.0
    degraded_grace: float = 5.0
    slow_retry: float | None = None
    operation_timeout: float = 0.0
    phase_timeout: float = 0.0
    wave_timeout: float = 1800.0
    hook_timeout: float = 7200.0
    delete_timeout: float = 600.0
    stall_after: float = 300.0

    def to_json(self) -> dict[str, Any]:
        """Only what differs from the defaults, as JSON values."""
        default = DEFAULT_OPTIONS
        return {name: value for name, value in asdict(self).items() if value != getattr(default, name)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SyncOptions:
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in data.items() if name in known})


@dataclass(frozen=True, slots=True)
class ResourceOptions:
    """What holds for one object: the Application's options with the object's own on top."""

    validate: bool = True
    replace: bool = False
    force: bool = False
    prune: Guard = "true"
    prune_last: bool = False
    delete: Guard = "true"
    skip_dry_run_on_missing: bool = False
    on_immutable: Literal["", "fail", "recreate"] = ""
    keep: bool = False

    @property
    def recreate(self) -> bool:
        """Delete, wait and create at every full sync."""
        return self.replace and self.force


DEFAULT_OPTIONS = SyncOptions()
DEFAULT_RESOURCE = ResourceOptions()


def _bool(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text)


def _choice(**values: str) -> Callable[[str], str | None]:
    return values.get


_GUARD = _choice(true="true", false="false", confirm="confirm")
_PROPAGATION = _choice(foreground="Foreground", background="Background", orphan="Orphan")

# name: (field, reader, read on the Application, read on a resource)
_TABLE: dict[str, tuple[str, Callable[[str], Any], bool, bool]] = {
    "ServerSideApply": ("server_side_apply", _bool, True, True),
    "ClientSideApplyMigration": ("migrate_fields", _bool, True, False),
    "Validate": ("validate", _bool, True, True),
    "Replace": ("replace", _bool, True, True),
    "Force": ("force", _bool, True, True),
    "ApplyOutOfSyncOnly": ("apply_out_of_sync_only", _bool, True, False),
    "PruneLast": ("prune_last", _bool, True, True),
    "PrunePropagationPolicy": ("propagation", _PROPAGATION, True, False),
    "Prune": ("prune", _GUARD, True, True),
    "Delete": ("delete", _GUARD, True, True),
    "SkipDryRunOnMissingResource": ("skip_dry_run_on_missing", _bool, True, True),
    "FailOnSharedResource": ("fail_on_shared", _bool, True, False),
    "RespectIgnoreDifferences": ("respect_ignore_differences", _bool, True, False),
    "CreateNamespace": ("create_namespace", _bool, True, False),
    "WaitForHealthy": ("wait_for_healthy", _bool, True, False),
    "DryRun": ("dry_run", _choice(auto="auto", server="server", local="local"), True, False),
    "Supersede": ("supersede", _choice(retry="retry", waiting="waiting", never="never"), True, False),
    "HooksOnSelfHeal": (
        "hooks_on_self_heal",
        _choice(never="never", changed="changed", always="always"),
        True,
        False,
    ),
    "HelmHooks": ("helm_hooks", _choice(argocd="argocd", helm="helm"), True, False),
    "WaveDelay": ("wave_delay", parse_duration, True, False),
    "DegradedGrace": ("degraded_grace", parse_duration, True, False),
    "SlowRetry": ("slow_retry", parse_duration, True, False),
    "OperationTimeout": ("operation_timeout", parse_duration, True, False),
    "PhaseTimeout": ("phase_timeout", parse_duration, True, False),
    "WaveTimeout": ("wave_timeout", parse_duration, True, False),
    "HookTimeout": ("hook_timeout", parse_duration, True, False),
    "DeleteTimeout": ("delete_timeout", parse_duration, True, False),
    "StallAfter": ("stall_after", parse_duration, True, False),
}
_READ = frozenset({SYNC_OPTIONS, RESOURCE_POLICY, ON_IMMUTABLE})
_RESOURCE_FIELDS = frozenset(f.name for f in fields(ResourceOptions))


def _read(options: Iterable[object], on_resource: bool) -> tuple[dict[str, Any], list[str]]:
    found: dict[str, Any] = {}
    warnings: list[str] = []
    for option in options:
        text = option.strip() if isinstance(option, str) else str(option)
        name, equals, value = text.partition("=")
        name = name.strip()
        row = _TABLE.get(name)
        if row is None or not equals:
            warnings.append(f"sync option {text[:60]!r} is not known and is ignored")
            continue
        field_name, read, _, resource = row
        if on_resource and not resource:
            warnings.append(f"sync option {name} has no effect on a single resource")
            continue
        parsed = read(value.strip())
        if parsed is None:
            warnings.append(f"sync option {text[:60]!r} has a value that is not understood and is ignored")
            continue
        found[field_name] = parsed
    return found, warnings


def parse_sync_options(options: object) -> tuple[SyncOptions, tuple[str, ...]]:
    """The options of an Application (a list of texts) and the warnings about what was not understood."""
    if options is None:
        return SyncOptions(), ()
    if isinstance(options, str) or not isinstance(options, Iterable):
        return SyncOptions(), ("sync options are not a list and are ignored",)
    found, warnings = _read(options, on_resource=False)
    return SyncOptions(**found), tuple(warnings)


@lru_cache(maxsize=64)
def _base(app: SyncOptions) -> ResourceOptions:
    """What holds for objects that say nothing themselves."""
    return ResourceOptions(**{name: getattr(app, name) for name in _RESOURCE_FIELDS if hasattr(app, name)})


def resource_options(
    app: SyncOptions, target: Manifest | None, live: Manifest | None = None
) -> tuple[ResourceOptions, tuple[str, ...]]:
    """What holds for one object: `target` for an apply, `live` alone for a prune.

    Replace and Force count on the target or on the live object, all else on the object that decides (4.2).
    """
    subject = target if target is not None else live
    own = annotations_of(subject)
    text = annotations_of(live).get(SYNC_OPTIONS) if target is not None else None
    if text is None and _READ.isdisjoint(own):
        return _base(app), ()
    values: dict[str, Any] = {name: getattr(_base(app), name) for name in _RESOURCE_FIELDS}
    found: dict[str, Any] = {}
    warnings: list[str] = []
    if SYNC_OPTIONS in own:
        found, warnings = _read(words(own[SYNC_OPTIONS]), on_resource=True)
    if text:
        theirs = _read(words(text), on_resource=True)[0]
        for name in ("replace", "force"):
            if name in theirs:
                found.setdefault(name, theirs[name])
    values.update((name, value) for name, value in found.items() if name in _RESOURCE_FIELDS)
    if own.get(RESOURCE_POLICY) == "keep":
        values["keep"] = True
        values["delete"] = "false"
    immutable = own.get(ON_IMMUTABLE, "")
    if immutable in ("fail", "recreate"):
        values["on_immutable"] = immutable
    elif immutable:
        warnings.append(f"{ON_IMMUTABLE}: {immutable[:40]!r} is not known and is ignored")
    return ResourceOptions(**values), tuple(warnings)
