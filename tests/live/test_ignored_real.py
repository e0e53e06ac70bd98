"""On a real API server: fields that an ignored manager owns, and the volume that a claim was bound to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hub import factories
from tests.hub.conftest import Api
from tests.live.realworld import RealWorld, real_world

__all__ = ["real_world"]
pytestmark = pytest.mark.live

DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {{name: api}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: api}}}}
  template:
    metadata: {{labels: {{app: api}}}}
    spec: {{containers: [{{name: main, image: "example.com/api:1", env: [{{name: A, value: "{value}"}}]}}]}}
"""
IDENTITY: dict[str, Any] = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}}
IMAGE = "/spec/template/spec/containers/0/image"
ENV = "/spec/template/spec/containers/0/env/0/value"


def image(world: RealWorld) -> str:
    live = world.read(IDENTITY)
    assert live is not None
    found: str = live["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


def test_what_an_ignored_manager_writes_is_no_drift_and_what_others_write_is(real_world: RealWorld) -> None:
    """One GET of the object tells whose it is: the watch brings no managedFields (6.2)."""
    app = real_world.deployed(
        {"api.yaml": DEPLOYMENT.format(value=1)},
        ignore_differences=[
            {"group": "apps", "kind": "Deployment", "managed_fields_managers": ["image-updater"]}
        ],
        sync_policy={"sync_options": ["RespectIgnoreDifferences=true"]},
    )
    new = "example.com/api:2"
    real_world.edit(IDENTITY, [{"op": "replace", "path": IMAGE, "value": new}], "json", "image-updater")
    real_world.run(app)
    assert app.sync_status == "Synced"
    (line,) = app.resources.get(kind="Deployment").drift
    assert line["path"] == '.spec.template.spec.containers[name="main"].image'
    assert line["ignored_by"] == "application: fields of manager image-updater"
    real_world.edit(IDENTITY, [{"op": "replace", "path": ENV, "value": "9"}], "json", "somebody")
    real_world.run(app)
    assert app.sync_status == "OutOfSync"
    counted = [line["path"] for line in app.resources.get(kind="Deployment").drift if not line["ignored_by"]]
    assert counted == ['.spec.template.spec.containers[name="main"].env[name="A"].value']
    real_world.sync(app)
    real_world.run(app)
    assert (app.sync_status, app.operation_phase, image(real_world)) == ("Synced", "Succeeded", new)


def test_the_volume_of_a_claim_is_in_the_tree(real_world: RealWorld) -> None:
    name = f"pv-{real_world.namespace}"
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "storageClassName": name,
            "hostPath": {"path": "/tmp/nothing"},
        },
    }
    claim = f"""apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: data}}
spec: {{accessModes: [ReadWriteOnce], storageClassName: {name}, resources: {{requests: {{storage: 1Gi}}}}}}
"""
    real_world.create_object(volume)
    app = real_world.deployed({"claim.yaml": claim})
    held = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}}
    real_world.eventually(lambda: (real_world.read(held) or {}).get("status", {}).get("phase") == "Bound")
    api = Api(factories.user("bob", "reader", real_world.project))
    nodes = {node["kind"]: node for node in api.get(f"/applications/{app.name}/tree").json()["nodes"]}
    assert [parent["name"] for parent in nodes["PersistentVolume"]["parents"]] == ["data"]
    assert nodes["PersistentVolume"]["name"] == name
    real_world.remove(volume)
