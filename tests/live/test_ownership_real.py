"""Who owns objects and the destination Namespace, on a real API server (sync-semantics.md 4.2, 5.3, 7.2; [C2], [C4])."""

from __future__ import annotations

from typing import Any

import pytest

from hub.models import Application
from hub.services import applications, operations
from tests.flow import faults
from tests.flow.conftest import DANA
from tests.live.realworld import RealWorld, real_world

__all__ = ["real_world"]
pytestmark = pytest.mark.live

TRACKING = "argocd.argoproj.io/tracking-id"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def deployment(namespace: str, more: str = "") -> str:
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: api\n  namespace: {namespace}\n{more}"
        "spec:\n  selector: {matchLabels: {app: api}}\n  template:\n    metadata: {labels: {app: api}}\n"
        "    spec: {containers: [{name: c, image: 'x:1'}]}\n"
    )


@pytest.mark.parametrize("how", [["--server-side"], []], ids=["server side", "client side"])
def test_e32_after_a_takeover_the_object_is_ours(real_world: RealWorld, how: list[str]) -> None:
    """What Argo CD applied: left alone first; taken over, the fields that Git lacks are really gone."""
    world, space = real_world, real_world.namespace
    marks = f"  labels: {{only: theirs}}\n  annotations: {{{TRACKING}: 'old:apps/Deployment:{space}/api'}}\n"
    world.kubectl(
        "apply", "--field-manager=argocd-controller", *how, "-f", "-", text=deployment(space, marks)
    )
    theirs = world.kube.get("apps/v1", "Deployment", "api", space)
    world.commit({"deploy/all.yaml": deployment(space)})
    app = world.application(
        sync_policy={"automated": {"self_heal": True}}, destination={"cluster": "dev", "namespace": space}
    )
    world.run(app)
    kept = world.kube.get("apps/v1", "Deployment", "api", space)
    assert TRACKING in kept["metadata"]["annotations"]
    assert kept["metadata"]["generation"] == theirs["metadata"]["generation"]
    assert any("Argo CD application old" in text for text in faults.conditions(app, "SharedResource"))

    operation = faults.ended(world, operations.takeover(DANA, app, {}))
    assert operation.phase == "Succeeded", operation.message
    metadata = world.kube.get("apps/v1", "Deployment", "api", space)["metadata"]
    assert metadata["annotations"]["gitops-hub.io/tracking-id"] == f"web:apps/Deployment:{space}/api"
    assert metadata["annotations"].keys() & {TRACKING, LAST_APPLIED} == set()
    assert "only" not in metadata["labels"]
    assert "argocd-controller" not in {entry["manager"] for entry in metadata["managedFields"]}
    world.run(app)
    assert app.sync_status == "Synced"
    assert [row.kind for row in app.operations.all()] == ["takeover"], "nothing was left to heal"


def labels(world: RealWorld, space: str) -> dict[str, str]:
    found = world.kube.get("v1", "Namespace", space)["metadata"]["labels"]
    return {name: value for name, value in found.items() if name != "kubernetes.io/metadata.name"}


def labelled(world: RealWorld, name: str, space: str, values: dict[str, str]) -> Application:
    text = (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {space}}}\ndata: {{a: b}}\n"
    )
    world.commit({f"{name}/all.yaml": text})
    world.poll()
    policy: dict[str, Any] = {
        "automated": {"self_heal": True},
        "sync_options": ["CreateNamespace=true"],
        "managed_namespace_metadata": {"labels": values},
    }
    place = {"cluster": "dev", "namespace": space}
    return world.run(world.application(name, path=name, sync_policy=policy, destination=place))


def test_namespace_labels_of_two_applications_are_healed_and_leave_with_their_wish(
    real_world: RealWorld,
) -> None:
    world, space = real_world, f"{real_world.namespace}-own"
    first = labelled(world, "first", space, {"team": "shop"})
    second = labelled(world, "second", space, {"tier": "one"})
    assert labels(world, space) == {"team": "shop", "tier": "one"}
    assert (world.run(first).sync_status, world.run(second).sync_status) == ("Synced", "Synced")
    world.kube.patch("v1", "Namespace", space, {"metadata": {"labels": {"team": "bank", "cost": "high"}}})
    world.run(first, until=lambda app: labels(world, space).get("team") == "shop")
    policy = {**second.sync_policy, "managed_namespace_metadata": {"labels": {}}}
    applications.update(DANA, second, applications.document(second) | {"sync_policy": policy})
    world.run(second, until=lambda app: "tier" not in labels(world, space))
    assert labels(world, space) == {"team": "shop", "cost": "high"}
    assert (world.run(first).sync_status, world.run(second).sync_status) == ("Synced", "Synced")
