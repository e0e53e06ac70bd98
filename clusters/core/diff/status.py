"""Sync status: the decision table of sync-semantics.md 7.2 and what partial knowledge may mean (7.3, 7.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

Status = Literal["Synced", "OutOfSync", "Unknown"]
Reason = Literal[
    "",
    "not_loadable",
    "not_comparable",
    "unreachable",
    "incomplete",
    "not_permitted",
    "completed",
    "missing",
    "extra",
    "shared",
    "changed",
    "deleting",
    "namespace",
    "hooks",
]
Class = Literal["plain", "hook", "skip", "ignored", "copy"]

SOURCE_GRACE = timedelta(seconds=180)
CLUSTER_GRACE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class ResourceFacts:
    """What is known of one resource. `changed`: Drift, a differing new target, a removed leaf, or (with
    `compare: strict`) a change on admission."""

    kind_class: Class = "plain"
    wanted: bool = True
    live: bool = True
    permitted: bool = True
    reachable: bool = True
    complete: bool = True
    comparison_error: str = ""
    run_once_finished: bool = False
    shared_with: str = ""
    changed: bool = False
    deleting: bool = False
    ignore_extraneous: bool = False


@dataclass(frozen=True, slots=True)
class ResourceVerdict:
    """The status of one resource, None for what has none. `affects`: whether the Application follows it.

    `automation_acts`: whether auto-sync may do something about it; a shared or Unknown one it leaves alone.
    """

    status: Status | None
    reason: Reason = ""
    message: str = ""
    affects: bool = True
    automation_acts: bool = True


@dataclass(frozen=True, slots=True)
class ApplicationVerdict:
    """The worst of its resources; `reasons` counts those that are not plainly Synced."""

    status: Status
    reasons: Mapping[str, int] = field(default_factory=dict)
    messages: tuple[str, ...] = ()


def resource_status(facts: ResourceFacts) -> ResourceVerdict:
    """The first matching row of 7.2; facts about the desired set as a whole belong to `application_status`."""
    if facts.kind_class != "plain":
        return ResourceVerdict(None, affects=False)
    if unknown := _unknown(facts):
        return unknown
    if facts.run_once_finished and facts.wanted and not facts.live:
        return ResourceVerdict("Synced", "completed", "completed, removed by its TTL", affects=False)
    if facts.wanted and not facts.live:
        return ResourceVerdict("OutOfSync", "missing", "is not in the cluster")
    if not facts.wanted:
        if not facts.live:
            return ResourceVerdict(None, affects=False)
        return ResourceVerdict("OutOfSync", "extra", "is not in Git", affects=not facts.ignore_extraneous)
    if facts.shared_with:
        message = f"belongs to {facts.shared_with}"
        status: Status = "OutOfSync" if facts.changed else "Synced"
        return ResourceVerdict(status, "shared", message, automation_acts=False)
    if facts.deleting:
        return ResourceVerdict("Synced", "deleting", "is being deleted and wanted again")
    if facts.changed:
        return ResourceVerdict("OutOfSync", "changed", "differs from Git")
    return ResourceVerdict("Synced")


def application_status(
    resources: Iterable[ResourceVerdict],
    *,
    error: str = "",
    namespace_differs: bool = False,
    hooks_differ: bool = False,
) -> ApplicationVerdict:
    """Any OutOfSync makes the Application OutOfSync, Unknown beats all; no resources is Synced.

    `error`: the desired set could not be loaded. `hooks_differ`: row 10, another hook set at another Revision.
    """
    verdicts = [verdict for verdict in resources if verdict.status is not None]
    reasons: Counter[str] = Counter(verdict.reason for verdict in verdicts if verdict.reason)
    counted = {verdict.status for verdict in verdicts if verdict.affects}
    if namespace_differs:
        reasons["namespace"] += 1
        counted.add("OutOfSync")
    if hooks_differ:
        reasons["hooks"] += 1
        counted.add("OutOfSync")
    messages = tuple(
        dict.fromkeys(v.message for v in verdicts if v.status == "Unknown" and v.affects and v.message)
    )
    if error:
        reasons["not_loadable"] += 1
        messages = (error, *messages)
        counted.add("Unknown")
    status: Status = (
        "Unknown" if "Unknown" in counted else "OutOfSync" if "OutOfSync" in counted else "Synced"
    )
    return ApplicationVerdict(status, dict(reasons), messages)


@dataclass(frozen=True, slots=True)
class PruneVerdict:
    """Whether partial knowledge lets this object be pruned; the sentence is the message of PruneSkipped."""

    allowed: bool
    message: str = ""


def may_prune(kind: str, *, complete: bool, desired_set_loaded: bool, tracked: bool) -> PruneVerdict:
    """Partial knowledge never means prune (7.3). `tracked`: a GET right before shows our tracking id.

    `complete`: the listing of the kind was finished, all pages, under working discovery.
    """
    if not desired_set_loaded:
        return PruneVerdict(False, "the desired set could not be loaded")
    if not complete:
        return PruneVerdict(False, f"listing of {kind} is incomplete")
    if not tracked:
        return PruneVerdict(False, "the live object does not carry our tracking id")
    return PruneVerdict(True)


def may_prune_everything(
    *, desired: int, managed_live: int, allow_empty: bool, manual_and_confirmed: bool
) -> PruneVerdict:
    """An empty rendered result prunes only with `allowEmpty`, or by a manual, confirmed prune."""
    if desired or not managed_live or allow_empty or manual_and_confirmed:
        return PruneVerdict(True)
    return PruneVerdict(False, "would delete all resources")


def keeps_status(error_since: datetime, now: datetime, *, source: bool, user_refresh: bool = False) -> bool:
    """Whether an error that may pass keeps the last status, marked "as of" (7.4): 180 s for a source (not when a user
    asked), 30 s for a cluster. Automation never acts on a kept status."""
    if source:
        return not user_refresh and now - error_since < SOURCE_GRACE
    return now - error_since < CLUSTER_GRACE


def _unknown(facts: ResourceFacts) -> ResourceVerdict | None:
    """Rows 2 and 3."""
    if facts.comparison_error:
        return ResourceVerdict("Unknown", "not_comparable", facts.comparison_error, automation_acts=False)
    if not facts.reachable:
        return ResourceVerdict(
            "Unknown", "unreachable", "the cluster cannot be reached", automation_acts=False
        )
    if not facts.complete:
        return ResourceVerdict(
            "Unknown", "incomplete", "listing of its kind is incomplete", automation_acts=False
        )
    if not facts.permitted:
        message = "is not permitted by the project"
        return ResourceVerdict("Unknown", "not_permitted", message, affects=False, automation_acts=False)
    return None
