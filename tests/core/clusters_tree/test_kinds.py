"""Which kinds are listed for a tree."""

from __future__ import annotations

from clusters.core.discovery import Discovery, KindInfo
from clusters.core.tree import kinds_below, ordinary_kinds

VERBS = frozenset({"get", "list", "delete"})


def serving(*kinds: tuple[str, str], namespaced: bool = True, verbs: frozenset[str] = VERBS) -> Discovery:
    return Discovery(
        {
            (group, kind): KindInfo(group, "v1", kind, f"{kind.lower()}s", namespaced, verbs)
            for group, kind in kinds
        }
    )


BUILT_IN = (("apps", "ReplicaSet"), ("", "Pod"), ("batch", "Job"), ("", "Secret"), ("apps", "Deployment"))


def test_children_of_children_are_looked_for() -> None:
    served = serving(*BUILT_IN)
    assert kinds_below([("apps", "Deployment")], served) == (("", "Pod"), ("apps", "ReplicaSet"))
    assert kinds_below([("batch", "CronJob")], served) == (("", "Pod"), ("batch", "Job"))


def test_what_a_controller_makes_in_another_group_is_looked_for() -> None:
    scaler, certificate = ("autoscaling", "HorizontalPodAutoscaler"), ("cert-manager.io", "Certificate")
    served = serving(*BUILT_IN, scaler, certificate)
    assert kinds_below([("keda.sh", "ScaledObject")], served) == (scaler,)
    assert kinds_below([("networking.k8s.io", "Ingress")], served) == (("", "Secret"), certificate)
    assert kinds_below([("networking.k8s.io", "Ingress")], serving(*BUILT_IN)) == ()
    assert kinds_below([("", "ServiceAccount")], served) == (("", "Secret"),)


def test_kinds_without_children_cost_nothing() -> None:
    assert kinds_below([("", "ConfigMap"), ("rbac.authorization.k8s.io", "Role")], serving(*BUILT_IN)) == ()


def test_an_operator_may_have_made_its_own_kinds_and_workloads() -> None:
    own = (("db.example.com", "Cluster"), ("db.example.com", "Backup"))
    found = kinds_below([("db.example.com", "Cluster")], serving(*BUILT_IN, *own))
    assert found == tuple(sorted((*BUILT_IN, *own)))


def test_only_what_is_served_namespaced_and_listable() -> None:
    assert kinds_below([("apps", "Deployment")], serving(("", "Pod"))) == ()
    assert kinds_below([("apps", "Deployment")], serving(*BUILT_IN, namespaced=False)) == ()
    assert kinds_below([("apps", "Deployment")], serving(*BUILT_IN, verbs=frozenset({"get"}))) == ()


def test_ordinary_kinds_can_be_listed_and_deleted() -> None:
    assert ordinary_kinds(serving(("", "Pod"), ("apps", "Deployment"))) == (
        ("", "Pod"),
        ("apps", "Deployment"),
    )
    assert ordinary_kinds(serving(("", "Event"))) == ()
    assert ordinary_kinds(serving(("", "Node"), namespaced=False)) == ()
