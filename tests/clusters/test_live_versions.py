"""A watched kind whose definition changes: the watch follows it to the version that is served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusters import kube, live
from clusters.core.connection import Connection
from clusters.core.manifests import MANAGED_BY_LABEL, TRACKING_ANNOTATION
from clusters.kube.tuning import Tuning
from clusters.sandbox import Cluster, Sandbox
from tests.clusters.test_live import FAST, HUB, until

WIDGETS = ("example.com", "Widget")


def definition(version: str, *withdrawn: str) -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
            "versions": [
                {"name": name, "served": name == version, "storage": name == version, "schema": schema}
                for name in (version, *withdrawn)
            ],
        },
    }


def widget(version: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": f"example.com/{version}",
        "kind": "Widget",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {MANAGED_BY_LABEL: HUB},
            "annotations": {TRACKING_ANNOTATION: f"shop:example.com/Widget:default/{name}"},
        },
    }


def create(cluster: Cluster, obj: dict[str, Any]) -> None:
    """As soon as its version is served."""
    until(
        lambda: cluster.backend.registry.find("example.com", obj["apiVersion"].rpartition("/")[2], "widgets")
    )
    cluster.create(obj)


def test_a_watch_follows_its_kind_to_another_version_and_through_a_new_definition(
    tune: Callable[..., Tuning],
) -> None:
    tune(**FAST)
    with Sandbox() as sandbox:
        cluster = sandbox.cluster("dev")
        cluster.create(definition("v1beta1"))
        create(cluster, widget("v1beta1", "one"))
        connection = Connection(
            identity="c1", server=cluster.server, token=cluster.token, allow_loopback=True
        )
        # A real server ends the watches of a changed definition; here none lasts for long.
        cluster.faults.add("cut_watch", resource="widgets", seconds=0.05)
        live.watch_cluster(connection, HUB, [WIDGETS])

        def seen() -> dict[str, str]:
            found = live.live_state(connection, hub_id=HUB, kinds=[WIDGETS], keys=(), owner="shop")
            held = {key.name: str(obj["apiVersion"]) for key, obj in found.objects.items()}
            return held if found.watched == {WIDGETS} else {}

        until(lambda: seen() == {"one": "example.com/v1beta1"})
        cluster.apply(definition("v1", "v1beta1"))
        create(cluster, widget("v1", "two"))
        until(lambda: seen() == {"one": "example.com/v1", "two": "example.com/v1"}, 15)
        live.unwatch_cluster("c1")
        kube.shutdown()
