"""Rules of apps and batch: what runs."""

from __future__ import annotations

from clusters.core.health.reading import (
    NO_CONDITION,
    Health,
    Rule,
    conditions,
    degraded,
    dig,
    flag,
    healthy,
    is_behind,
    items,
    not_observed,
    number,
    progressing,
    sentence,
    suspended,
    text,
)
from clusters.core.manifests import Manifest


def deployment(obj: Manifest) -> Health:
    if flag(obj, "spec", "paused"):
        return suspended("Deployment is paused")
    if is_behind(obj):
        return not_observed(obj)
    rollout = conditions(obj).get("Progressing", NO_CONDITION)
    if rollout.reason == "ProgressDeadlineExceeded":
        return degraded(sentence(rollout, "the rollout exceeded its progress deadline"))
    wanted, updated = number(obj, "spec", "replicas"), number(obj, "status", "updatedReplicas")
    return _rolled_out(
        wanted, updated, number(obj, "status", "replicas"), number(obj, "status", "availableReplicas")
    )


def _rolled_out(wanted: int, updated: int, current: int, available: int) -> Health:
    if updated < wanted:
        return progressing(f"{updated} of {wanted} replicas are updated")
    if current > updated:
        return progressing(f"{current - updated} old replicas are still to be removed")
    if available < updated:
        return progressing(f"{available} of {updated} updated replicas are available")
    return healthy()


def replica_set(obj: Manifest) -> Health:
    if is_behind(obj):
        return not_observed(obj)
    failure = conditions(obj).get("ReplicaFailure", NO_CONDITION)
    if failure.status == "True":
        return degraded(sentence(failure, "replicas cannot be created or deleted"))
    wanted, available = number(obj, "spec", "replicas"), number(obj, "status", "availableReplicas")
    if available < wanted:
        return progressing(f"{available} of {wanted} replicas are available")
    return healthy()


def stateful_set(obj: Manifest) -> Health:
    if number(obj, "status", "observedGeneration") == 0 or is_behind(obj):
        return not_observed(obj)
    wanted, ready = number(obj, "spec", "replicas"), number(obj, "status", "readyReplicas")
    if ready < wanted:
        return progressing(f"{ready} of {wanted} replicas are ready")
    strategy = text(obj, "spec", "updateStrategy", "type")
    if strategy == "RollingUpdate" and isinstance(dig(obj, "spec", "updateStrategy", "rollingUpdate"), dict):
        part = wanted - number(obj, "spec", "updateStrategy", "rollingUpdate", "partition")
        updated = number(obj, "status", "updatedReplicas")
        if updated < part:
            return progressing(f"{updated} of {part} replicas of the rolling update are updated")
        return healthy(f"{updated} replicas are updated")
    if strategy == "OnDelete":
        return healthy(f"{ready} replicas are ready; updates wait for their deletion")
    if text(obj, "status", "updateRevision") != text(obj, "status", "currentRevision"):
        updated = number(obj, "status", "updatedReplicas")
        return progressing(f"{updated} replicas are at revision {text(obj, 'status', 'updateRevision')}")
    return healthy()


def daemon_set(obj: Manifest) -> Health:
    if is_behind(obj):
        return not_observed(obj)
    wanted = number(obj, "status", "desiredNumberScheduled")
    if text(obj, "spec", "updateStrategy", "type") == "OnDelete":
        return healthy("updates wait for the deletion of pods")
    updated, available = (
        number(obj, "status", "updatedNumberScheduled"),
        number(obj, "status", "numberAvailable"),
    )
    if updated < wanted:
        return progressing(f"{updated} of {wanted} pods are updated")
    if available < wanted:
        return progressing(f"{available} of {wanted} pods are available")
    return healthy()


def job(obj: Manifest) -> Health:
    """Only conditions with status True count: a resumed Job keeps a condition Suspended=False."""
    true = {name: one for name, one in conditions(obj).items() if one.status == "True"}
    if "Failed" in true:
        return degraded(sentence(true["Failed"], "Job failed"))
    if "Suspended" in true:
        return suspended(sentence(true["Suspended"], "Job is suspended"))
    if "Complete" in true:
        return healthy(true["Complete"].message or "Job completed")
    return progressing(f"Job is running, {number(obj, 'status', 'succeeded')} pods have succeeded")


def cron_job(obj: Manifest) -> Health:
    if flag(obj, "spec", "suspend"):
        return healthy("CronJob is Suspended")
    if not isinstance(dig(obj, "status"), dict):
        return progressing("CronJob has no status yet")
    scheduled, succeeded = text(obj, "status", "lastScheduleTime"), text(obj, "status", "lastSuccessfulTime")
    if not scheduled:
        return healthy("CronJob has never been scheduled")
    if not succeeded:
        return healthy("CronJob has not succeeded yet")
    if items(obj, "status", "active"):
        return healthy("CronJob is running")
    if succeeded < scheduled:  # both are RFC 3339 in UTC with whole seconds: they sort as text
        return degraded(
            f"the run scheduled at {scheduled} has not succeeded; the last success was at {succeeded}"
        )
    return healthy(f"the last success was at {succeeded}")


RULES: dict[tuple[str, str], Rule] = {
    ("apps", "Deployment"): deployment,
    ("apps", "ReplicaSet"): replica_set,
    ("apps", "StatefulSet"): stateful_set,
    ("apps", "DaemonSet"): daemon_set,
    ("batch", "Job"): job,
    ("batch", "CronJob"): cron_job,
}
