"""The demo on a real cluster: KUBECONFIG instead of the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flow.test_demo import _demo
from tests.live.controlplane.instance import ControlPlane

pytestmark = pytest.mark.live


@pytest.mark.timeout(240)
def test_the_demo_deploys_to_the_cluster_of_kubeconfig(
    own_control_plane: ControlPlane, tmp_path: Path
) -> None:
    run = _demo(tmp_path, KUBECONFIG=str(own_control_plane.kubeconfig))
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-2000:]
    assert "shop: Synced, Healthy" in run.stdout
    deployment = own_control_plane.request("GET", "/apis/apps/v1/namespaces/shop/deployments/web")
    assert deployment["status"]["readyReplicas"] == 2
