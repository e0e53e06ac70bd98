"""The hand-over between the plan (which decides) and `clusters.services.carry_out` (which acts).

`next_step` returns exactly one of Step, Wait, Done, Failed (sync-semantics.md 3.1). A Step is a list of groups
of Actions: groups run one after the other, the Actions of one group in parallel within the cluster's in-flight
limit. Each Action yields one Outcome; a failing Action never stops its siblings, and stops later groups only if
`Step.stop_on_failure`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from clusters.core.manifests import Manifest, ResourceKey

Verb = Literal["apply", "create", "replace", "delete", "patch", "get", "move_fields"]


@dataclass(frozen=True, slots=True)
class Action:
    """One request to the cluster (with the small repeats that sync-semantics.md 4.1 allows).

    apply: forced server-side apply of `body` by `field_manager`; `force=False` makes an existing object answer
    409 (sync-semantics.md 5.4). create: POST. replace: PUT with `resource_version`. delete: with `propagation`,
    `uid` as precondition, and, if `must_carry` is set, only when a GET right before shows that tracking id (7.3).
    patch: `patch_type` json, merge or strategic with `body` (list or dict), optional `subresource`.
    move_fields: unite the managedFields entries of `managers` into field_manager/Apply (4.1, api-server-facts C2).
    """

    verb: Verb
    key: ResourceKey
    body: Any = field(default=None, repr=False)
    api_version: str = ""
    dry_run: bool = False
    force: bool = True
    strict: bool = True
    field_manager: str = "gitops-hub"
    propagation: Literal["Foreground", "Background", "Orphan"] = "Foreground"
    uid: str = ""
    resource_version: str = ""
    must_carry: str = ""
    patch_type: Literal["json", "merge", "strategic"] = "json"
    subresource: str = ""
    managers: tuple[str, ...] = ()
    task_id: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one Action. `object` is the answer's object (managedFields kept), None after a failure or 404.

    `code` is empty on success, else a code of clusters.errors (e.g. `not_found`, `conflict`, `invalid`,
    `forbidden`, `kind_not_served`, `unavailable`, `throttled`); `message` is redacted and cut at 500 characters.
    `permanent`: repeating the same request cannot help. `changed`: resourceVersion differs from the one before.
    """

    action: Action
    ok: bool
    object: Manifest | None = field(default=None, repr=False)
    changed: bool = True
    code: str = ""
    message: str = ""
    permanent: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """Something can be done now. `reason` is a sentence for people; `name` says which part of 3.3 this is."""

    name: Literal[
        "dry_run",
        "create_namespace",
        "strip_finalizers",
        "delete",
        "prune",
        "apply",
        "terminate",
        "adopt",
        "detach",
    ]
    reason: str
    groups: tuple[tuple[Action, ...], ...]
    stop_on_failure: bool = True


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done before something changes. `until` is the next deadline or None; `code` is stable."""

    reason: str
    until: datetime | None = None
    code: str = "waiting"
    wave: int | None = None
    phase: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """The operation succeeded."""

    message: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The operation ended badly: phase `Failed` (the work failed or was refused) or `Error` (could not judge)."""

    message: str
    phase: Literal["Failed", "Error"] = "Failed"
    retryable: bool = True
    code: str = ""
    details: tuple[dict[str, str], ...] = ()


Verdict = Step | Wait | Done | Failed
