"""Which kinds to look at below an Application's resources, so that its tree can be grown from a few listings."""

from __future__ import annotations

from collections.abc import Iterable

from clusters.core.discovery import Discovery
from clusters.core.manifests import is_built_in

Kind = tuple[str, str]

_POD, _RS, _JOB = ("", "Pod"), ("apps", "ReplicaSet"), ("batch", "Job")
_SET, _CLAIM = ("apps", "StatefulSet"), ("", "PersistentVolumeClaim")
_CHILDREN: dict[Kind, tuple[Kind, ...]] = {
    ("apps", "Deployment"): (_RS,),
    _RS: (_POD,),
    _SET: (_POD, _CLAIM),
    ("apps", "DaemonSet"): (_POD,),
    ("", "ReplicationController"): (_POD,),
    _JOB: (_POD,),
    ("batch", "CronJob"): (_JOB,),
    ("", "Service"): (("discovery.k8s.io", "EndpointSlice"),),
    ("", "ServiceAccount"): (("", "Secret"),),
    ("networking.k8s.io", "Ingress"): (("cert-manager.io", "Certificate"),),
    ("gateway.networking.k8s.io", "Gateway"): (
        ("cert-manager.io", "Certificate"),
        ("apps", "Deployment"),
        ("", "Service"),
    ),
    ("keda.sh", "ScaledObject"): (("autoscaling", "HorizontalPodAutoscaler"),),
    ("keda.sh", "ScaledJob"): (_JOB,),
    ("argoproj.io", "Rollout"): (_RS, ("argoproj.io", "AnalysisRun"), ("argoproj.io", "Experiment")),
    ("argoproj.io", "Experiment"): (_RS, ("argoproj.io", "AnalysisRun")),
    ("argoproj.io", "AnalysisRun"): (_JOB,),
    ("argoproj.io", "CronWorkflow"): (("argoproj.io", "Workflow"),),
    ("argoproj.io", "Workflow"): (_POD,),
    ("cert-manager.io", "Certificate"): (("cert-manager.io", "CertificateRequest"), ("", "Secret")),
    ("cert-manager.io", "CertificateRequest"): (("acme.cert-manager.io", "Order"),),
    ("acme.cert-manager.io", "Order"): (("acme.cert-manager.io", "Challenge"),),
    ("external-secrets.io", "ExternalSecret"): (("", "Secret"),),
}
# What an operator's own kind may have made: its group's other kinds, and these.
_OF_OPERATORS = (
    ("apps", "Deployment"),
    _SET,
    ("apps", "DaemonSet"),
    ("batch", "CronJob"),
    _JOB,
    _POD,
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("", "Service"),
    ("", "ConfigMap"),
    ("", "Secret"),
    _CLAIM,
)


def kinds_below(roots: Iterable[Kind], discovery: Discovery) -> tuple[Kind, ...]:
    """The namespaced, listable kinds in which children of objects of these kinds are found, of all depths, sorted.

    Only served kinds. Children in other kinds (rare owners) are not looked for.
    """
    found: dict[Kind, None] = {}
    waiting = list(dict.fromkeys(roots))
    for kind in waiting:  # the list grows while it is walked
        for child in _children(kind, discovery):
            info = discovery.find(*child)
            if child not in found and info is not None and info.namespaced and "list" in info.verbs:
                found[child] = None
                waiting.append(child)
    return tuple(sorted(found))


def _children(kind: Kind, discovery: Discovery) -> tuple[Kind, ...]:
    if kind in _CHILDREN:
        return _CHILDREN[kind]
    if is_built_in(kind[0]):
        return ()
    return (*_OF_OPERATORS, *(other for other in discovery.kinds if other[0] == kind[0]))


def ordinary_kinds(discovery: Discovery) -> tuple[Kind, ...]:
    """Every namespaced kind that can be listed and deleted, but Events, sorted: where orphans may be."""
    return tuple(
        sorted(
            kind
            for kind, info in discovery.kinds.items()
            if info.namespaced and {"list", "delete"} <= info.verbs and info.kind != "Event"
        )
    )
