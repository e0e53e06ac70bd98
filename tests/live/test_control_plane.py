"""The control plane of the live suite is a real one, ready when it says so, alone, and gone without a trace."""

from __future__ import annotations

import http.client
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import kubernetes.client
import kubernetes.config
import pytest

from tests.live.controlplane import build
from tests.live.controlplane.instance import ApiError, ControlPlane
from tests.live.worldview import running_in, until

pytestmark = pytest.mark.live
REPOSITORY = Path(__file__).parents[2]


def template(restart: str, **annotations: str) -> dict[str, Any]:
    marks = {f"sim/{name.replace('_', '-')}": value for name, value in annotations.items()}
    containers = [{"name": "main", "image": "registry.example/app:1"}]
    metadata = {"labels": {"app": "it"}, "annotations": marks}
    return {"metadata": metadata, "spec": {"restartPolicy": restart, "containers": containers}}


def deployment(replicas: int, **annotations: str) -> dict[str, Any]:
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "it"}},
        "template": template("Always", **annotations),
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "it"}, "spec": spec}


def job(**annotations: str) -> dict[str, Any]:
    spec = {"backoffLimit": 0, "template": template("Never", **annotations)}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "it"}, "spec": spec}


def conditions(found: dict[str, Any]) -> dict[str, str]:
    return {each["type"]: each["status"] for each in found["status"].get("conditions") or []}


def pods(cluster: ControlPlane, namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.request("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]
    return found


def test_it_is_ready_when_the_constructor_returns(control_plane: ControlPlane) -> None:
    assert control_plane.request("GET", "/readyz") == {"text": "ok"}
    version = control_plane.request("GET", "/version")
    assert version["gitVersion"] == build.KUBERNETES_VERSION
    assert (version["major"], version["minor"]) == ("1", "36")
    control_plane.request("GET", "/api/v1/namespaces/default/serviceaccounts/default")


def test_a_deployment_becomes_available(control_plane: ControlPlane, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    control_plane.request("POST", path, deployment(2))
    until(lambda: control_plane.request("GET", f"{path}/it")["status"].get("availableReplicas") == 2)
    assert conditions(control_plane.request("GET", f"{path}/it"))["Available"] == "True"


def test_a_pod_waits_for_the_reason_of_its_annotation(control_plane: ControlPlane, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    control_plane.request("POST", path, deployment(1, waiting="ImagePullBackOff"))
    statuses = until(
        lambda: [
            each
            for pod in pods(control_plane, namespace)
            for each in pod["status"].get("containerStatuses", [])
        ]
    )
    assert statuses[0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
    assert conditions(control_plane.request("GET", f"{path}/it"))["Available"] == "False"


def test_a_pod_can_run_and_never_be_ready(control_plane: ControlPlane, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    control_plane.request("POST", path, deployment(1, not_ready="true"))
    pod = until(lambda: [p for p in pods(control_plane, namespace) if p["status"]["phase"] == "Running"])[0]
    assert conditions(pod)["Ready"] == "False"


def test_a_job_completes(control_plane: ControlPlane, namespace: str) -> None:
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    control_plane.request("POST", path, job())
    until(lambda: conditions(control_plane.request("GET", f"{path}/it")).get("Complete") == "True")


def test_a_job_fails_with_its_exit_code_and_message(control_plane: ControlPlane, namespace: str) -> None:
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    control_plane.request("POST", path, job(exit_code="3", message="boom"))
    until(lambda: conditions(control_plane.request("GET", f"{path}/it")).get("Failed") == "True")
    ended = pods(control_plane, namespace)[0]["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (3, "boom")


def test_the_hub_token_works_with_tls_verification(control_plane: ControlPlane) -> None:
    strict = ssl.create_default_context(cadata=control_plane.ca_pem)
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    assert (strict.verify_mode, strict.check_hostname) == (ssl.CERT_REQUIRED, True)
    request = urllib.request.Request(
        f"{control_plane.url}/api/v1/nodes", headers={"Authorization": f"Bearer {control_plane.hub_token}"}
    )
    with urllib.request.urlopen(request, context=strict, timeout=30) as answer:
        assert answer.status == 200
        # Not exempt from priority and fairness, as somebody of system:masters would be.
        level = answer.headers["X-Kubernetes-PF-PriorityLevel-UID"]
    levels = control_plane.request("GET", "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations")
    names = {each["metadata"]["uid"]: each["metadata"]["name"] for each in levels["items"]}
    assert names[level] == "global-default"


def test_the_certificate_is_of_this_instance_alone(control_plane: ControlPlane) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        _, port = control_plane.url.rsplit(":", 1)
        stranger = http.client.HTTPSConnection("127.0.0.1", int(port), context=ssl.create_default_context())
        stranger.request("GET", "/readyz")


def test_the_hub_owes_its_rights_to_a_binding(own_control_plane: ControlPlane) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    own_control_plane.request("GET", path, token=own_control_plane.hub_token)
    own_control_plane.request("DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/hubs")

    def status_of_the_hub() -> int:
        try:
            own_control_plane.request("GET", path, token=own_control_plane.hub_token)
        except ApiError as error:
            return error.status
        return 200

    until(lambda: status_of_the_hub() == 403)
    own_control_plane.request("GET", path)


@pytest.mark.parametrize("user", ["admin", "hub"])
def test_the_official_client_accepts_the_kubeconfigs(
    control_plane: ControlPlane, namespace: str, user: str
) -> None:
    path = control_plane.kubeconfig if user == "admin" else control_plane.hub_kubeconfig
    with kubernetes.config.new_client_from_config(str(path)) as client:
        found = kubernetes.client.CoreV1Api(client).read_namespace(namespace)
        review = kubernetes.client.AuthenticationV1Api(client).create_self_subject_review(
            {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        )
    assert found.metadata.name == namespace
    assert review.status.user_info.username == user


def test_two_at_once_do_not_clash(control_plane: ControlPlane, own_control_plane: ControlPlane) -> None:
    assert control_plane.url != own_control_plane.url
    assert not set(control_plane.pids().values()) & set(own_control_plane.pids().values())
    own_control_plane.request(
        "POST",
        "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "only-here"}},
    )
    with pytest.raises(ApiError, match="404"):
        control_plane.request("GET", "/api/v1/namespaces/only-here")
    with pytest.raises(ApiError, match="401"):
        control_plane.request("GET", "/api/v1/namespaces", token=own_control_plane.admin_token)


def test_a_paused_apiserver_hangs_and_goes_on(own_control_plane: ControlPlane) -> None:
    own_control_plane.pause_apiserver()
    _, port = own_control_plane.url.rsplit(":", 1)
    tls = ssl.create_default_context(cadata=own_control_plane.ca_pem)
    hanging = http.client.HTTPSConnection("127.0.0.1", int(port), timeout=0.5, context=tls)
    with pytest.raises(TimeoutError):
        hanging.request("GET", "/readyz")
    hanging.close()
    own_control_plane.resume_apiserver()
    assert own_control_plane.request("GET", "/readyz") == {"text": "ok"}


def test_a_stopped_apiserver_refuses_and_comes_back_with_its_data(own_control_plane: ControlPlane) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}}
    own_control_plane.request("POST", "/api/v1/namespaces/default/configmaps", body)
    own_control_plane.stop_apiserver()
    with pytest.raises(OSError, match="refused"):
        own_control_plane.request("GET", "/readyz")
    own_control_plane.start_apiserver()
    own_control_plane.request("GET", "/api/v1/namespaces/default/configmaps/kept")


def test_without_etcd_reads_from_the_cache_work_and_readiness_does_not(
    own_control_plane: ControlPlane,
) -> None:
    own_control_plane.pause_etcd()
    own_control_plane.request("GET", "/api/v1/namespaces?resourceVersion=0")
    until(lambda: not _is_ready(own_control_plane))
    own_control_plane.resume_etcd()
    until(lambda: _is_ready(own_control_plane))


def _is_ready(cluster: ControlPlane) -> bool:
    try:
        return cluster.request("GET", "/readyz") == {"text": "ok"}
    except ApiError:
        return False


def test_nothing_is_left_after_stop_even_of_paused_parts(controlplane_programs: Path) -> None:
    cluster = ControlPlane()
    assert len(running_in(cluster.folder)) == 6, "five programs and their supervisor"
    cluster.pause_apiserver()
    cluster.stop()
    assert running_in(cluster.folder) == []
    assert not cluster.folder.exists()


def test_nothing_is_left_after_a_kill_of_the_owner(controlplane_programs: Path) -> None:
    script = (
        "import time\nfrom tests.live.controlplane.instance import ControlPlane\n"
        "cluster = ControlPlane()\nprint(cluster.folder, flush=True)\ntime.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        folder = owner.stdout.readline().strip()
        running = len(running_in(folder))
        owner.kill()
    assert running == 6
    assert until(lambda: not running_in(folder) and not Path(folder).exists())


def test_the_command_prints_a_kubeconfig_and_ends_with_a_signal(controlplane_programs: Path) -> None:
    command = [sys.executable, "-m", "tests.live.controlplane"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        kubeconfig = Path(process.stdout.readline().strip().removeprefix("export KUBECONFIG="))
        existed = kubeconfig.exists()
        process.terminate()
        assert process.wait(30) == 0
    assert existed
    assert running_in(kubeconfig.parent) == []
