"""One running control plane: etcd, kube-apiserver, controller-manager, scheduler, and kwok as the kubelet.

    with ControlPlane() as cluster:
        cluster.request("GET", "/api/v1/namespaces")

Instances share nothing: each has its own folder and loopback ports, so any number may run at once (about
550 MB of memory each). All processes end with the owner, however that ends (see tests/live/supervisor.py).
"""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.live.controlplane import build
from tests.live.processes import ProcessError, Processes, free_ports

_STAGES = Path(__file__).with_name("stages.yaml")
_READY_WITHIN = 90.0  # seconds; four when the machine has nothing else to do
_ATTEMPTS = 3

_FAKE_NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {
        "name": "fake-0",
        "labels": {"kubernetes.io/hostname": "fake-0", "kubernetes.io/os": "linux"},
        "annotations": {"kwok.x-k8s.io/node": "fake"},
    },
}
_HUB_MAY_ALL = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "hubs"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "hubs"}],
}


class ApiError(RuntimeError):
    """The API server answered with an error: `status` (HTTP) and `body` (its text)."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body[:500]}")
        self.status = status
        self.body = body


class ControlPlane:
    """A control plane that is ready when the constructor returns; `stop()` or `with` ends it.

    Attributes: `url`; `ca_pem` (verifies the server as 127.0.0.1, so nobody needs `insecure`);
    `admin_token` (in system:masters: exempt from RBAC and from priority and fairness); `hub_token` (user `hub`,
    group `hubs`, cluster-admin by a ClusterRoleBinding: both apply); `kubeconfig` (path, as admin);
    `hub_kubeconfig` (path, as hub); `folder`.

    Raises BuildError when the programs cannot be built, ProcessError when they do not get ready.
    """

    def __init__(self, *, prefix: str = "controlplane") -> None:
        self._programs = build.control_plane()
        self.admin_token = secrets.token_hex(16)
        self.hub_token = secrets.token_hex(16)
        for attempt in range(1, _ATTEMPTS + 1):
            self._processes = Processes(prefix)
            try:
                self._begin()
            except ProcessError as error:
                self.stop()
                if attempt == _ATTEMPTS or "address already in use" not in str(error):
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                return

    def _begin(self) -> None:
        self.folder = self._processes.folder
        self._etcd_port, self._peer_port, self._port = free_ports(3)
        self.url = f"https://127.0.0.1:{self._port}"
        self.kubeconfig = self.folder / "kubeconfig"
        self.hub_kubeconfig = self.folder / "kubeconfig-hub"
        self._prepare()
        self._run("etcd", self._etcd_arguments())
        self._run("kube-apiserver", self._apiserver_arguments())
        self._run("kube-controller-manager", self._controller_manager_arguments())
        self._run(
            "kube-scheduler", ["--kubeconfig", self.kubeconfig, "--leader-elect=false", "--secure-port=0"]
        )
        self._run("kwok", self._kwok_arguments())
        self._wait_for_apiserver()
        self.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", _HUB_MAY_ALL)
        self.request("POST", "/api/v1/nodes", _FAKE_NODE)
        self._wait_until("the controllers work and the node is usable", self._is_usable, everything=True)

    # --- what tests do with it

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        """One request, by default as admin; the decoded answer.

        Raises ApiError for an HTTP error and OSError when the server cannot be reached. Meant for arranging
        and asserting in tests.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Authorization", f"Bearer {token or self.admin_token}")
        request.add_header("Content-Type", content_type)
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._tls) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(error.code, error.read().decode(errors="replace")) from None
        return json.loads(text) if text.startswith("{") else {"text": text}

    def pause_apiserver(self) -> None:
        """Requests hang without an answer from now on, connections stay open."""
        self._processes.signal("kube-apiserver", "SIGSTOP")

    def resume_apiserver(self) -> None:
        self._processes.signal("kube-apiserver", "SIGCONT")

    def stop_apiserver(self) -> None:
        """Kill it: connections break in the middle of a chunk, new ones are refused."""
        self._processes.stop("kube-apiserver")

    def start_apiserver(self) -> None:
        """Start it again on the same port and wait until it is ready; every older resourceVersion is 410 now."""
        self._run("kube-apiserver", self._apiserver_arguments())
        self._wait_for_apiserver()

    def pause_etcd(self) -> None:
        """Writes hang and /readyz answers 500; `LIST ?resourceVersion=0` still works."""
        self._processes.signal("etcd", "SIGSTOP")

    def resume_etcd(self) -> None:
        self._processes.signal("etcd", "SIGCONT")

    def pids(self) -> dict[str, int]:
        return {name: self._processes.pid(name) for name in build.PROGRAM_NAMES}

    def log_tail(self, name: str, lines: int = 30) -> str:
        return self._processes.log_tail(name, lines)

    def stop(self) -> None:
        """End all processes and remove the folder; also right when something is paused or gone."""
        self._processes.close()

    def __enter__(self) -> ControlPlane:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- files

    def _prepare(self) -> None:
        self.folder.joinpath("tokens.csv").write_text(
            f'{self.admin_token},admin,admin,"system:masters"\n{self.hub_token},hub,hub,"hubs"\n'
        )
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sa.key")
        self._make_certificates()
        self.ca_pem = self.folder.joinpath("ca.crt").read_text()
        self._tls = ssl.create_default_context(cadata=self.ca_pem)
        self._write_kubeconfig(self.kubeconfig, "admin", self.admin_token)
        self._write_kubeconfig(self.hub_kubeconfig, "hub", self.hub_token)

    def _make_certificates(self) -> None:
        """A CA and a serving certificate for 127.0.0.1 that also strict verifiers accept."""
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
        self._openssl(
            *("req", "-x509", *key, "-subj", "/CN=controlplane-ca", "-keyout", "ca.key", "-out", "ca.crt"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
        self._openssl(
            *(
                "req",
                "-x509",
                *key,
                "-subj",
                "/CN=kube-apiserver",
                "-keyout",
                "serving.key",
                "-out",
                "serving.crt",
            ),
            *("-CA", "ca.crt", "-CAkey", "ca.key"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
            *("-addext", "keyUsage=critical,digitalSignature"),
            *("-addext", "extendedKeyUsage=serverAuth"),
            *("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
        )

    def _openssl(self, *arguments: str) -> None:
        program = shutil.which("openssl")
        if program is None:
            raise ProcessError("The control plane needs the program `openssl` for its certificates.")
        done = subprocess.run(
            [program, *arguments], cwd=self.folder, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode != 0:
            raise ProcessError(f"openssl {arguments[0]} failed: {done.stderr}")

    def _write_kubeconfig(self, path: Path, user: str, token: str) -> None:
        ca = base64.b64encode(self.ca_pem.encode()).decode()
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "controlplane",
            "clusters": [
                {"name": "controlplane", "cluster": {"server": self.url, "certificate-authority-data": ca}}
            ],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "controlplane", "context": {"cluster": "controlplane", "user": user}}],
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(document, indent=1))  # JSON is YAML

    # --- processes

    def _run(self, name: str, arguments: Sequence[str | Path]) -> None:
        self._processes.start(name, [str(self._programs / name), *map(str, arguments)])

    def _etcd_arguments(self) -> list[str]:
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        return [
            *("--data-dir", f"{self.folder}/etcd", "--unsafe-no-fsync", "--log-level", "error"),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"default={peer}"),
        ]

    def _apiserver_arguments(self) -> list[str]:
        here = self.folder
        return [
            *("--etcd-servers", f"http://127.0.0.1:{self._etcd_port}"),
            *("--bind-address", "127.0.0.1", "--secure-port", str(self._port), "--cert-dir", f"{here}/pki"),
            *("--tls-cert-file", f"{here}/serving.crt", "--tls-private-key-file", f"{here}/serving.key"),
            *("--token-auth-file", f"{here}/tokens.csv", "--authorization-mode", "RBAC"),
            *("--service-account-issuer", "https://kubernetes.default.svc"),
            *("--service-account-key-file", f"{here}/sa.key"),
            *("--service-account-signing-key-file", f"{here}/sa.key"),
            *("--service-cluster-ip-range", "10.96.0.0/16"),
            *("--disable-admission-plugins", "ServiceAccount"),  # pods then need no token volume
        ]

    def _controller_manager_arguments(self) -> list[str]:
        return [
            *("--kubeconfig", str(self.kubeconfig), "--leader-elect=false", "--secure-port=0"),
            *("--service-account-private-key-file", f"{self.folder}/sa.key"),
            *(
                "--use-service-account-credentials=false",
                "--controllers=*,-nodeipam,-cloud-node-lifecycle-controller",
            ),
            # The default of 20 requests a second makes a rollout of 300 pods seven times slower.
            *("--kube-api-qps=1000", "--kube-api-burst=2000"),
        ]

    def _kwok_arguments(self) -> list[str]:
        return [
            *("--kubeconfig", str(self.kubeconfig), "--config", str(_STAGES), "--manage-all-nodes"),
            # Without a lease the node blinks NotReady after 50 s, and its pods never recover.
            *("--node-lease-duration-seconds", "40"),
        ]

    # --- readiness

    def _wait_for_apiserver(self) -> None:
        self._wait_until("the API server is ready", self._is_ready, everything=False)

    def _wait_until(self, what: str, look: Any, *, everything: bool) -> None:
        names = build.PROGRAM_NAMES if everything else ("etcd", "kube-apiserver")
        self._processes.wait_until(what, look, names, _READY_WITHIN)

    def _is_ready(self) -> bool:
        try:
            return self.request("GET", "/readyz") == {"text": "ok"}
        except (ApiError, OSError):
            return False

    def _is_usable(self) -> bool:
        try:
            self.request("GET", "/api/v1/namespaces/default/serviceaccounts/default")
            node = self.request("GET", "/api/v1/nodes/fake-0")
        except ApiError as error:
            if error.status != 404:
                raise
            return False
        conditions = {each["type"]: each["status"] for each in node["status"].get("conditions") or []}
        return conditions.get("Ready") == "True" and not node["spec"].get("taints")
