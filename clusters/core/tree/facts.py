"""What a page shows about one live object: images, age, a few words of status, addresses. Never its body."""

from __future__ import annotations

from dataclasses import dataclass

from clusters.core.health import conditions
from clusters.core.health.reading import annotation, dig, flag, items, number, text
from clusters.core.manifests import Manifest, group_of

_POD_SPECS = (
    ("spec", "template", "spec"),
    ("spec", "jobTemplate", "spec", "template", "spec"),
    ("spec",),
)
_CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
_REVISION = "deployment.kubernetes.io/revision"
_ROLLOUT_REVISION = "rollout.argoproj.io/revision"


@dataclass(frozen=True, slots=True)
class Facts:
    """`created` is RFC 3339 text as the server wrote it; `info` are short (name, value) pairs in display order."""

    images: tuple[str, ...] = ()
    created: str = ""
    deleting: bool = False
    info: tuple[tuple[str, str], ...] = ()
    addresses: tuple[str, ...] = ()


def facts_of(obj: Manifest) -> Facts:
    return Facts(
        images=images_of(obj),
        created=text(obj, "metadata", "creationTimestamp"),
        deleting=bool(text(obj, "metadata", "deletionTimestamp")),
        info=_info(obj),
        addresses=_addresses(obj),
    )


def images_of(obj: Manifest) -> tuple[str, ...]:
    """Image references of a Pod or of the pod template of a workload, in order, each once."""
    found: dict[str, None] = {}
    for path in _POD_SPECS:
        spec = dig(obj, *path)
        for name in _CONTAINER_LISTS:
            for container in items(spec, name):
                if image := text(container, "image"):
                    found[image] = None
    return tuple(found)


def _info(obj: Manifest) -> tuple[tuple[str, str], ...]:
    kind, group = text(obj, "kind"), group_of(obj)
    if (group, kind) == ("", "Pod"):
        return _pod_info(obj)
    pairs = []
    if revision := annotation(obj, _REVISION) or annotation(obj, _ROLLOUT_REVISION):
        pairs.append(("Revision", revision))
    if kind in ("Deployment", "StatefulSet", "ReplicaSet", "Rollout") and group in ("apps", "argoproj.io"):
        ready = number(obj, "status", "readyReplicas")
        pairs.append(("Replicas", f"{ready}/{number(obj, 'spec', 'replicas')}"))
    if (group, kind) == ("", "PersistentVolumeClaim"):
        pairs.append(("Capacity", text(obj, "status", "capacity", "storage")))
        pairs.append(("Storage class", text(obj, "spec", "storageClassName")))
    if (group, kind) == ("batch", "CronJob"):
        pairs.append(("Schedule", text(obj, "spec", "schedule")))
        pairs.append(("Last run", text(obj, "status", "lastScheduleTime")))
    if group in ("serving.knative.dev", "cert-manager.io") and (ready_one := conditions(obj).get("Ready")):
        pairs.append(("Ready", ready_one.status))
    return tuple((name, value) for name, value in pairs if value)


def _pod_info(obj: Manifest) -> tuple[tuple[str, str], ...]:
    """Status reason as `kubectl get` shows it, ready containers of all, restarts, node."""
    statuses = items(obj, "status", "containerStatuses")
    ready = sum(1 for status in statuses if flag(status, "ready"))
    total = len(items(obj, "spec", "containers"))
    restarts = sum(number(status, "restartCount") for status in statuses)
    pairs = [("Status", _pod_status(obj)), ("Containers", f"{ready}/{total}" if total else "")]
    pairs += [("Restarts", str(restarts) if restarts else ""), ("Node", text(obj, "spec", "nodeName"))]
    return tuple((name, value) for name, value in pairs if value)


def _pod_status(obj: Manifest) -> str:
    if text(obj, "metadata", "deletionTimestamp"):
        return "Terminating"
    word = text(obj, "status", "reason") or text(obj, "status", "phase")
    for prefix, name in (("Init:", "initContainerStatuses"), ("", "containerStatuses")):
        for status in items(obj, "status", name):
            reason = text(status, "state", "waiting", "reason")
            ended = dig(status, "state", "terminated")
            failed = text(ended, "reason") if number(ended, "exitCode") else ""
            if (reason and reason != "PodInitializing") or failed:
                return f"{prefix}{reason or failed}"
    return word


def _addresses(obj: Manifest) -> tuple[str, ...]:
    """Where a Service, Ingress or Gateway answers from outside; with the scheme where the object tells it."""
    found: dict[str, None] = {}
    for entry in items(obj, "status", "loadBalancer", "ingress") + _gateway_addresses(obj):
        host = text(entry, "hostname") or text(entry, "ip") or text(entry, "value")
        if host:
            found[host] = None
    if text(obj, "kind") == "Ingress":
        secure = {host for tls in items(obj, "spec", "tls") for host in _texts(tls, "hosts")}
        for rule in items(obj, "spec", "rules"):
            if host := text(rule, "host"):
                found[f"{'https' if host in secure else 'http'}://{host}"] = None
    return tuple(found)


def _gateway_addresses(obj: Manifest) -> list[Manifest]:
    return items(obj, "status", "addresses") if text(obj, "kind") == "Gateway" else []


def _texts(obj: Manifest, name: str) -> list[str]:
    value = obj.get(name)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
