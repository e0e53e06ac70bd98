"""The resource tree: edges said and unsaid, facts about each object, and what nobody owns."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.core.health import Health
from clusters.core.manifests import ResourceKey, key_of
from clusters.core.tree import Tree, facts_of, fold, images_of, orphans, resource_tree


def obj(
    kind: str, name: str, version: str = "v1", *, namespace: str = "shop", owner: Any = None, **parts: Any
) -> dict[str, Any]:
    metadata = {"name": name, "uid": f"uid-{kind}-{name}", **parts.pop("metadata", {})}
    if namespace:
        metadata["namespace"] = namespace
    if owner:
        reference = {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
        }
        metadata["ownerReferences"] = [{**reference, "uid": owner["metadata"]["uid"]}]
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **parts}


def edges(tree: Tree) -> dict[str, list[str]]:
    return {str(node.key): [str(parent) for parent in node.parents] for node in tree.nodes}


DEPLOYMENT = obj("Deployment", "api", "apps/v1", spec={"replicas": 1})
REPLICA_SET = obj("ReplicaSet", "api-7d", "apps/v1", owner=DEPLOYMENT)
POD = obj("Pod", "api-7d-x", owner=REPLICA_SET, metadata={"labels": {"app": "api"}})


def test_owner_references_make_the_tree_and_strangers_stay_out() -> None:
    stranger = obj("Pod", "other")
    tree = resource_tree([key_of(DEPLOYMENT)], [POD, stranger, REPLICA_SET, DEPLOYMENT])
    assert edges(tree) == {
        "apps/Deployment/shop/api": [],
        "apps/ReplicaSet/shop/api-7d": ["apps/Deployment/shop/api"],
        "Pod/shop/api-7d-x": ["apps/ReplicaSet/shop/api-7d"],
    }
    assert [node.managed for node in tree.nodes] == [True, False, False]
    assert [str(node.key) for node in tree.children_of(key_of(REPLICA_SET))] == ["Pod/shop/api-7d-x"]


def test_an_owner_in_another_namespace_is_no_owner() -> None:
    elsewhere = obj("ConfigMap", "c", namespace="other", owner=DEPLOYMENT)
    tree = resource_tree([key_of(DEPLOYMENT)], [DEPLOYMENT, elsewhere])
    assert list(edges(tree)) == ["apps/Deployment/shop/api"]


def test_a_cluster_scoped_owner_has_children_in_namespaces() -> None:
    owner = obj("Widget", "w", "example.com/v1", namespace="")
    child = obj("ConfigMap", "c", owner=owner)
    assert edges(resource_tree([key_of(owner)], [child, owner]))["ConfigMap/shop/c"] == [
        "example.com/Widget/w"
    ]


INFERRED = [
    (obj("Service", "api"), obj("Endpoints", "api")),
    (
        obj("Service", "api"),
        obj(
            "EndpointSlice",
            "api-x1",
            "discovery.k8s.io/v1",
            metadata={"labels": {"kubernetes.io/service-name": "api"}},
        ),
    ),
    (
        obj("StatefulSet", "db", "apps/v1", spec={"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}),
        obj("PersistentVolumeClaim", "data-db-12"),
    ),
    (
        obj("PersistentVolumeClaim", "data"),
        obj(
            "PersistentVolume", "pv-1", namespace="", spec={"claimRef": {"namespace": "shop", "name": "data"}}
        ),
    ),
    (
        obj("ServiceAccount", "robot"),
        obj(
            "Secret", "robot-token", metadata={"annotations": {"kubernetes.io/service-account.name": "robot"}}
        ),
    ),
    (
        obj("Certificate", "tls", "cert-manager.io/v1"),
        obj("Secret", "tls-secret", metadata={"annotations": {"cert-manager.io/certificate-name": "tls"}}),
    ),
    (
        obj(
            "Database",
            "orders",
            "platform.example.com/v1",
            spec={
                "resourceRef": {
                    "apiVersion": "platform.example.com/v1",
                    "kind": "XDatabase",
                    "name": "orders-1",
                }
            },
        ),
        obj(
            "XDatabase",
            "orders-1",
            "platform.example.com/v1",
            namespace="",
            spec={
                "claimRef": {
                    "apiVersion": "platform.example.com/v1",
                    "kind": "Database",
                    "namespace": "shop",
                    "name": "orders",
                }
            },
        ),
    ),
    (
        obj("Kustomization", "apps", "kustomize.toolkit.fluxcd.io/v1"),
        obj(
            "ConfigMap",
            "settings",
            namespace="elsewhere",
            metadata={
                "labels": {
                    "kustomize.toolkit.fluxcd.io/name": "apps",
                    "kustomize.toolkit.fluxcd.io/namespace": "shop",
                }
            },
        ),
    ),
    (
        obj("HelmRelease", "redis", "helm.toolkit.fluxcd.io/v2"),
        obj(
            "Service",
            "redis",
            metadata={
                "labels": {"helm.toolkit.fluxcd.io/name": "redis", "helm.toolkit.fluxcd.io/namespace": "shop"}
            },
        ),
    ),
]


@pytest.mark.parametrize(("parent", "child"), INFERRED, ids=lambda one: one["kind"])
def test_edges_that_kubernetes_leaves_unsaid(parent: dict[str, Any], child: dict[str, Any]) -> None:
    tree = resource_tree([key_of(parent)], [child, parent])
    assert edges(tree)[str(key_of(child))] == [str(key_of(parent))]


@pytest.mark.parametrize(
    "claim", [None, "x", {"kind": "Database", "namespace": "shop", "name": "orders"}, {"apiVersion": "v1"}]
)
def test_a_reference_takes_no_object_that_does_not_say_so_itself(claim: Any) -> None:
    """Whoever may write a custom resource could else have anybody's object for a child, and delete it."""
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "foreign", "namespace": "shop"}
    parent = obj("Database", "orders", "platform.example.com/v1", spec={"resourceRef": reference})
    foreign = obj("Deployment", "foreign", "apps/v1", spec={"claimRef": claim})
    assert list(edges(resource_tree([key_of(parent)], [parent, foreign]))) == [str(key_of(parent))]


@pytest.mark.parametrize("name", ["data-db", "data-db-x", "data-dbx-0", "other-db-0", "data-db-0-0"])
def test_only_claims_of_the_template_belong_to_the_statefulset(name: str) -> None:
    parent, _ = INFERRED[2]
    tree = resource_tree([key_of(parent)], [obj("PersistentVolumeClaim", name), parent])
    assert list(edges(tree)) == ["apps/StatefulSet/shop/db"]


def test_circles_of_owners_end() -> None:
    one, two = obj("ConfigMap", "one"), obj("ConfigMap", "two")
    one = obj("ConfigMap", "one", owner=two)
    two = obj("ConfigMap", "two", owner=one)
    assert set(edges(resource_tree([key_of(one), key_of(two)], [one, two]))) == {
        "ConfigMap/shop/one",
        "ConfigMap/shop/two",
    }


def test_a_managed_resource_that_does_not_exist_is_a_missing_root() -> None:
    (node,) = resource_tree([key_of(DEPLOYMENT)], []).nodes
    assert (node.live, node.health) == (False, Health("Missing", "it does not exist"))


def test_children_have_health_of_their_own_and_custom_rules_reach_them() -> None:
    failed = {**POD, "status": {"phase": "Failed", "message": "evicted"}}
    tree = resource_tree([key_of(DEPLOYMENT)], [DEPLOYMENT, REPLICA_SET, failed])
    assert tree.nodes[2].health == Health("Degraded", "evicted")
    tree = resource_tree([key_of(DEPLOYMENT)], [DEPLOYMENT, failed], lambda _obj: Health("Suspended"))
    assert tree.nodes[0].health == Health("Suspended")


def test_traffic_goes_from_ingress_to_service_to_pods() -> None:
    backend = {"service": {"name": "api"}}
    ingress = obj(
        "Ingress",
        "web",
        "networking.k8s.io/v1",
        spec={"defaultBackend": backend, "rules": [{"http": {"paths": [{"backend": backend}]}}]},
    )
    route = obj(
        "HTTPRoute",
        "web",
        "gateway.networking.k8s.io/v1",
        spec={
            "rules": [
                {
                    "backendRefs": [
                        {"name": "api", "port": 80},
                        {"kind": "Service", "name": "b", "namespace": "x"},
                    ]
                }
            ]
        },
    )
    service = obj("Service", "api", spec={"selector": {"app": "api"}})
    headless = obj("Service", "none", spec={})
    objects = [DEPLOYMENT, REPLICA_SET, POD, ingress, route, service, headless]
    managed = [key_of(one) for one in (DEPLOYMENT, ingress, route, service, headless)]
    targets = {
        node.key.kind + node.key.name: [str(key) for key in node.targets]
        for node in resource_tree(managed, objects).nodes
    }
    assert targets["Ingressweb"] == ["Service/shop/api"]
    assert targets["HTTPRouteweb"] == ["Service/shop/api", "Service/x/b"]
    assert targets["Serviceapi"] == ["Pod/shop/api-7d-x"]
    assert targets["Servicenone"] == []


def test_images_are_found_wherever_pods_are_made() -> None:
    pod_spec = {
        "initContainers": [{"name": "wait", "image": "wait:1"}],
        "containers": [{"name": "api", "image": "api:2"}, {"name": "twin", "image": "api:2"}],
    }
    template = {"template": {"spec": pod_spec}}
    assert images_of(obj("Pod", "p", spec=pod_spec)) == ("wait:1", "api:2")
    assert images_of(obj("Deployment", "d", "apps/v1", spec=template)) == ("wait:1", "api:2")
    assert images_of(obj("CronJob", "c", "batch/v1", spec={"jobTemplate": {"spec": template}})) == (
        "wait:1",
        "api:2",
    )
    assert images_of(obj("ConfigMap", "c")) == ()


def test_facts_of_a_pod_are_what_kubectl_shows() -> None:
    pod = obj(
        "Pod",
        "api",
        metadata={"creationTimestamp": "2026-11-24T10:00:00Z"},
        spec={"containers": [{"name": "api"}, {"name": "side"}], "nodeName": "n1"},
        status={
            "phase": "Running",
            "containerStatuses": [
                {
                    "name": "api",
                    "ready": False,
                    "restartCount": 4,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                },
                {"name": "side", "ready": True, "restartCount": 0, "state": {"running": {}}},
            ],
        },
    )
    facts = facts_of(pod)
    assert facts.info == (
        ("Status", "CrashLoopBackOff"),
        ("Containers", "1/2"),
        ("Restarts", "4"),
        ("Node", "n1"),
    )
    assert facts.created == "2026-11-24T10:00:00Z"
    pod["metadata"]["deletionTimestamp"] = "2026-11-24T11:00:00Z"
    assert facts_of(pod).info[0] == ("Status", "Terminating")
    assert facts_of(pod).deleting


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (
            {
                "phase": "Pending",
                "initContainerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}],
            },
            "Init:ErrImagePull",
        ),
        (
            {
                "phase": "Failed",
                "containerStatuses": [{"state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}],
            },
            "OOMKilled",
        ),
        ({"phase": "Failed", "reason": "Evicted"}, "Evicted"),
        (
            {
                "phase": "Pending",
                "containerStatuses": [{"state": {"waiting": {"reason": "PodInitializing"}}}],
            },
            "Pending",
        ),
    ],
)
def test_the_status_word_of_a_pod(status: dict[str, Any], word: str) -> None:
    assert facts_of(obj("Pod", "p", status=status)).info[0] == ("Status", word)


def test_facts_of_other_kinds() -> None:
    deployment = obj(
        "Deployment",
        "api",
        "apps/v1",
        metadata={"annotations": {"deployment.kubernetes.io/revision": "7"}},
        spec={"replicas": 3},
        status={"readyReplicas": 2},
    )
    assert facts_of(deployment).info == (("Revision", "7"), ("Replicas", "2/3"))
    ingress = obj(
        "Ingress",
        "web",
        "networking.k8s.io/v1",
        spec={
            "tls": [{"hosts": ["a.example.com"]}],
            "rules": [{"host": "a.example.com"}, {"host": "b.example.com"}],
        },
        status={"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}},
    )
    assert facts_of(ingress).addresses == ("203.0.113.7", "https://a.example.com", "http://b.example.com")


def test_a_crowd_of_leaves_is_folded_and_managed_resources_stay() -> None:
    pods = [obj("Pod", f"api-{n:04}", owner=REPLICA_SET, status={"phase": "Succeeded"}) for n in range(600)]
    pods[0]["status"] = {"phase": "Failed"}
    tree = resource_tree([key_of(DEPLOYMENT)], [DEPLOYMENT, REPLICA_SET, *pods])
    folded = fold(tree)
    assert [node.key.kind for node in folded.nodes] == ["Deployment", "ReplicaSet"]
    (crowd,) = folded.folds
    assert (crowd.parent, crowd.kind, crowd.count) == (key_of(REPLICA_SET), "Pod", 600)
    assert dict(crowd.statuses) == {"Healthy": 599, "Degraded": 1}
    assert fold(tree, limit=1000) is tree


def test_orphans_are_top_level_objects_that_nobody_owns() -> None:
    stateful_set, claim = INFERRED[2]
    lost = obj("ConfigMap", "lost")
    objects = [
        DEPLOYMENT,
        REPLICA_SET,
        POD,
        stateful_set,
        claim,
        lost,
        obj("ConfigMap", "far", namespace="other"),
        obj("Namespace", "shop", namespace=""),
        obj("ConfigMap", "kube-root-ca.crt"),
        obj("ServiceAccount", "default"),
        obj(
            "Secret",
            "default-token",
            metadata={"annotations": {"kubernetes.io/service-account.name": "default"}},
        ),
        obj("Event", "e1"),
        obj("Event", "e2", "events.k8s.io/v1"),
        obj("Endpoints", "api"),
        obj("EndpointSlice", "api-1", "discovery.k8s.io/v1"),
        obj("Lease", "leader", "coordination.k8s.io/v1"),
        obj("ConfigMap", "owned-elsewhere", metadata={"ownerReferences": [{"uid": "not-listed"}]}),
    ]
    owned = {key_of(DEPLOYMENT), key_of(stateful_set)}
    assert orphans(objects, namespaces={"shop"}, owned=owned) == (key_of(lost),)
    assert orphans(objects, namespaces={"shop"}, owned=owned, ignored=lambda key: key.name == "lost") == ()
    assert (
        orphans(objects, namespaces={"shop"}, owned=owned, permitted=lambda key: key.kind != "ConfigMap")
        == ()
    )


def test_the_api_servers_own_service_is_no_orphan() -> None:
    service = obj("Service", "kubernetes", namespace="default")
    assert orphans([service], namespaces={"default"}, owned=()) == ()
    assert orphans([obj("Service", "kubernetes")], namespaces={"shop"}, owned=()) == (
        ResourceKey("", "Service", "shop", "kubernetes"),
    )


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "name",
                        "namespace",
                        "uid",
                        "labels",
                        "annotations",
                        "ownerReferences",
                        "spec",
                        "status",
                        "rules",
                        "tls",
                    ),
                    *(
                        "hosts",
                        "selector",
                        "resourceRef",
                        "volumeClaimTemplates",
                        "metadata",
                        "claimRef",
                        "loadBalancer",
                    ),
                    *(
                        "ingress",
                        "containers",
                        "containerStatuses",
                        "state",
                        "backendRefs",
                        "http",
                        "paths",
                        "backend",
                    ),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
kinds = st.sampled_from(
    [
        "v1 Pod",
        "v1 Service",
        "v1 Secret",
        "v1 PersistentVolume",
        "networking.k8s.io/v1 Ingress",
        "apps/v1 StatefulSet",
    ]
)


@given(st.lists(st.tuples(kinds, junk, junk, junk), max_size=4))
def test_the_tree_never_raises_on_odd_objects(raw: list[tuple[str, Any, Any, Any]]) -> None:
    objects = []
    for number, (kind, labels, spec, status) in enumerate(raw):
        version, _, name = kind.partition(" ")
        one = obj(name, f"o{number}", version, spec=spec, status=status)
        one["metadata"] |= {"labels": labels, "annotations": labels, "ownerReferences": spec}
        objects.append(one)
    keys = [key_of(one) for one in objects]
    assert {node.key for node in resource_tree(keys, objects).nodes} == set(keys)
    assert set(orphans(objects, namespaces={"shop"}, owned=())) <= set(keys)
