"""A whole hub on a cluster that is a sandbox or a real control plane: the same test, the same assertions."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from clusters.models import Cluster
from clusters.sandbox import Sandbox
from hub.models import Application, Project
from hub.services import repositories
from tests import gitserver
from tests.flow.conftest import DANA, World
from tests.hub.factories import OPEN
from tests.live.controlplane.instance import ApiError, ControlPlane
from tests.live.worldview import until

PLURALS = {
    "Deployment": "apis/apps/v1/{ns}deployments",
    "ReplicaSet": "apis/apps/v1/{ns}replicasets",
    "StatefulSet": "apis/apps/v1/{ns}statefulsets",
    "HorizontalPodAutoscaler": "apis/autoscaling/v2/{ns}horizontalpodautoscalers",
    "CronJob": "apis/batch/v1/{ns}cronjobs",
    "Job": "apis/batch/v1/{ns}jobs",
    "Pod": "api/v1/{ns}pods",
    "ConfigMap": "api/v1/{ns}configmaps",
    "Secret": "api/v1/{ns}secrets",
    "Service": "api/v1/{ns}services",
    "Event": "api/v1/{ns}events",
    "Namespace": "api/v1/namespaces",
}


class RealKube:
    """What tests do to the cluster behind the hub's back, as the sandbox's handle offers it."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane, self.server, self.token = plane, plane.url, plane.hub_token

    def _path(self, kind: str, namespace: str, name: str = "") -> str:
        path = "/" + PLURALS[kind].format(ns=f"namespaces/{namespace}/")
        return f"{path}/{quote(name)}" if name else path

    def get(self, api_version: str, kind: str, name: str, namespace: str = "default") -> Any:
        try:
            return self.plane.request("GET", self._path(kind, namespace, name))
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def create(self, obj: dict[str, Any]) -> Any:
        namespace = obj["metadata"].get("namespace", "default")
        return self.plane.request("POST", self._path(obj["kind"], namespace), obj)

    def list(self, api_version: str, kind: str, namespace: str = "") -> Any:
        return self.plane.request("GET", self._path(kind, namespace))["items"]

    def patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        patch: Any,
        namespace: str = "default",
        subresource: str = "",
    ) -> Any:
        path = self._path(kind, namespace, name) + (f"/{subresource}" if subresource else "")
        return self.plane.request("PATCH", path, patch, content_type="application/merge-patch+json")

    def delete(self, api_version: str, kind: str, name: str, namespace: str = "default") -> Any:
        return self.plane.request("DELETE", self._path(kind, namespace, name))


class HubWorld(World):
    """The World of the flow tests on any cluster, in a namespace of its own; `shop` is the Project as ever."""

    def __init__(self, on: Sandbox | ControlPlane, folder: Path) -> None:
        self.folder = folder
        self.real = isinstance(on, ControlPlane)
        self.kube: Any = RealKube(on) if isinstance(on, ControlPlane) else on.cluster("dev")
        self.namespace = f"shop-{secrets.token_hex(3)}"
        self.repository_path = gitserver.make_repo(folder)
        self.project = Project.objects.create(name="shop", rules=OPEN)
        self.cluster = Cluster.objects.create(
            name="dev",
            server=self.kube.server,
            token=self.kube.token,
            ca_pem=on.ca_pem if isinstance(on, ControlPlane) else "",
        )
        self.repository = repositories.create(DANA, {"url": f"file://{self.repository_path}"})
        self.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})

    def deployed(self, files: dict[str, str | None], passes: int = 40, **more: Any) -> Application:
        """An Application synced from these files below `deploy/`; named after the world, as tests share a server."""
        self.commit({f"deploy/{file}": text for file, text in files.items()})
        where = {"cluster": "dev", "namespace": self.namespace}
        app = self.application(f"web-{self.namespace}", destination=where, **more)
        self.run(app)
        self.sync(app)
        return self.run(app, passes=passes)

    def change(self, app: Application, files: dict[str, str | None]) -> Application:
        """A commit, seen."""
        self.commit({f"deploy/{file}": text for file, text in files.items()})
        self.poll()
        return self.run(app)

    def get(self, kind: str, name: str) -> Any:
        return self.kube.get(VERSIONS.get(kind, "v1"), kind, name, self.namespace)

    def eventually(self, look: Callable[[], Any]) -> Any:
        return until(look)


VERSIONS = {
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "CronJob": "batch/v1",
    "Job": "batch/v1",
}
