"""The raw limit that the hub is measured against applies real objects, and executes nothing of a kubeconfig."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.raw_replay import application_objects, replay, target_of
from tests.live.controlplane.instance import ControlPlane


@pytest.mark.live
def test_it_applies_every_object_as_the_hub_would(control_plane: ControlPlane, namespace: str) -> None:
    manifests = [each for n in range(3) for each in application_objects(f"app-{n}", namespace)]
    result = replay(target_of(control_plane.hub_kubeconfig), manifests, in_flight=4)
    assert (result.objects, len(result.latencies)) == (12, 12)
    assert "4 in flight" in str(result)
    found = control_plane.request("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/app-2")
    assert found["spec"]["replicas"] == 0
    ours = [entry for entry in found["metadata"]["managedFields"] if entry["manager"] == "gitops-hub"]
    assert [entry["operation"] for entry in ours] == ["Apply"]


@pytest.mark.live
def test_a_refused_object_is_an_error_and_no_rate(control_plane: ControlPlane) -> None:
    manifests = application_objects("app", "no-such-namespace")
    with pytest.raises(RuntimeError, match=r"configmaps/app: 404 .*NotFound"):
        replay(target_of(control_plane.hub_kubeconfig), manifests, in_flight=1)


def test_a_program_in_a_kubeconfig_is_refused_and_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    program = {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": [str(ran)]}
    document = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"exec": program}}],
    }
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="only a token or a client certificate"):
        target_of(kubeconfig)
    assert not ran.exists()
