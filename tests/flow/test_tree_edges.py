"""Children that no listing of the namespace brings: they are read because something in the tree names them."""

from __future__ import annotations

import json
from typing import Any

from tests.flow.conftest import World
from tests.flow.faults import NAMESPACE
from tests.hub import factories
from tests.hub.conftest import Api

CLAIM = """apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: shop}
spec: {accessModes: [ReadWriteOnce], storageClassName: "", volumeName: pv-1, resources: {requests: {storage: 1Gi}}}
---
apiVersion: platform.example.com/v1
kind: Database
metadata: {name: orders, namespace: shop}
spec: {size: small}
"""
VOLUME = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "pv-1"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "hostPath": {"path": "/x"},
        "claimRef": {"namespace": "shop", "name": "data"},
    },
}


def definition(group: str, kind: str, scope: str) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }


def reference(made: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": made["apiVersion"], "kind": made["kind"], "name": made["metadata"]["name"]}


def owned(by: dict[str, Any], api_version: str, kind: str, **metadata: str) -> dict[str, Any]:
    owner = {**reference(by), "uid": by["metadata"]["uid"], "controller": True}
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {**metadata, "ownerReferences": [owner]},
        "spec": {"forProvider": {"region": "eu"}},
    }


def test_volumes_and_composed_resources_are_in_the_tree_and_can_be_opened(world: World) -> None:
    world.kube.create(NAMESPACE)
    world.kube.create(VOLUME)
    for group, kind, scope in (
        ("platform.example.com", "Database", "Namespaced"),
        ("platform.example.com", "XDatabase", "Cluster"),
        ("rds.example.com", "Instance", "Cluster"),
        ("vpc.example.com", "Subnet", "Namespaced"),
    ):
        world.kube.create(definition(group, kind, scope))
    world.commit({"deploy/all.yaml": CLAIM})
    app = world.run(world.application(sync_policy={"automated": {}}))
    assert app.sync_status == "Synced", app.conditions
    claim = world.kube.get("platform.example.com/v1", "Database", "orders", "shop")
    assert claim is not None
    composite = world.kube.create(
        {
            "apiVersion": "platform.example.com/v1",
            "kind": "XDatabase",
            "metadata": {"name": "orders-1"},
            "spec": {"claimRef": {**reference(claim), "namespace": "shop"}},
        }
    )
    instance = world.kube.create(owned(composite, "rds.example.com/v1", "Instance", name="orders-1-db"))
    subnet = world.kube.create(
        owned(claim, "vpc.example.com/v1", "Subnet", name="orders-net", namespace="shop")
    )
    world.kube.patch(
        "platform.example.com/v1",
        "XDatabase",
        "orders-1",
        {"spec": {"resourceRefs": [reference(instance)]}},
    )
    named = {"resourceRef": reference(composite), "crossplane": {"resourceRefs": [reference(subnet)]}}
    world.kube.patch("platform.example.com/v1", "Database", "orders", {"spec": named}, "shop")
    world.run(app)
    api = Api(factories.user("bob", "reader", world.project))
    answer = api.get(f"/applications/{app.name}/tree").json()
    assert answer["incomplete"] == []
    parents = {
        node["kind"]: [parent["kind"] for parent in node["parents"]]
        for node in answer["nodes"]
        if not node["managed"]
    }
    assert parents == {
        "PersistentVolume": ["PersistentVolumeClaim"],
        "XDatabase": ["Database"],
        "Instance": ["XDatabase"],
        "Subnet": ["Database"],
    }
    for query in ("kind=PersistentVolume&name=pv-1", "group=rds.example.com&kind=Instance&name=orders-1-db"):
        assert api.get(f"/applications/{app.name}/resource?{query}").status_code == 200
    world.kube.create(
        {"apiVersion": "rds.example.com/v1", "kind": "Instance", "metadata": {"name": "foreign"}}
    )
    foreign = api.get(f"/applications/{app.name}/resource?group=rds.example.com&kind=Instance&name=foreign")
    assert foreign.status_code == 404


def test_c5_a_reference_makes_nobody_s_object_a_child(world: World) -> None:
    """A custom resource may name anything; only what names it back, or is owned by it, is shown and may be touched."""
    world.kube.create(NAMESPACE)
    world.kube.create({**NAMESPACE, "metadata": {"name": "other"}})
    world.kube.create(definition("platform.example.com", "Database", "Namespaced"))
    spec = {"containers": [{"name": "main", "image": "example.com/secret:1"}]}
    for space in ("shop", "other"):
        metadata = {"name": "foreign", "namespace": space}
        world.kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    references = [
        {"apiVersion": "v1", "kind": "Pod", "name": "foreign", "namespace": space}
        for space in ("shop", "other")
    ]
    references.append({"apiVersion": "v1", "kind": "Namespace", "name": "other"})
    manifest = {
        "apiVersion": "platform.example.com/v1",
        "kind": "Database",
        "metadata": {"name": "thief", "namespace": "shop"},
        "spec": {"resourceRef": references[0], "resourceRefs": references},
    }
    world.commit({"deploy/all.yaml": json.dumps(manifest)})
    app = world.run(world.application(sync_policy={"automated": {}}))
    assert app.sync_status == "Synced", app.conditions
    api = Api(factories.user("alice", "owner", world.project))
    nodes = api.get(f"/applications/{app.name}/tree").json()["nodes"]
    assert [node["name"] for node in nodes] == ["thief"]
    for query in (
        "kind=Pod&namespace=shop&name=foreign",
        "kind=Pod&namespace=other&name=foreign",
        "kind=Namespace&name=other",
    ):
        assert api.get(f"/applications/{app.name}/resource?{query}").status_code == 404
