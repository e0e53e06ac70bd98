"""The World of the flow tests on a real control plane, whatever kinds it serves.

    def test_something(real_world: RealWorld) -> None:
        app = real_world.deployed({"config.yaml": TEXT})        # one namespace of its own: real_world.namespace
        live = real_world.read(manifest)                        # any kind: by the server's own discovery
        real_world.edit(manifest, {"data": {"a": "b"}})         # as somebody else than the hub

Import the fixture by name: `from tests.live.realworld import RealWorld, real_world`.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from clusters import kube
from hub.models import Application, ResourceStatus
from tests.live.controlplane.instance import ApiError, ControlPlane
from tests.live.hubworld import HubWorld

CONTENT_TYPES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class RealWorld(HubWorld):
    """`plane` is the control plane, `namespace` the destination; other names carry it, so that runs can share."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        super().__init__(plane, folder)
        self.plane = plane
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}

    def path(self, manifest: Mapping[str, Any]) -> str:
        """The URL path of an object, by discovery (asked again for a kind that is new)."""
        version, metadata = manifest["apiVersion"], manifest["metadata"]
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if (version, manifest["kind"]) not in self._kinds:
            for found in self.plane.request("GET", base)["resources"]:
                if "/" not in found["name"]:
                    self._kinds[version, found["kind"]] = found["name"], found["namespaced"]
        plural, namespaced = self._kinds[version, manifest["kind"]]
        space = f"/namespaces/{metadata.get('namespace') or self.namespace}" if namespaced else ""
        return f"{base}{space}/{plural}/{quote(metadata['name'])}"

    def read(self, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
        """The live object that a manifest (or anything with its identity) names, None when there is none."""
        try:
            return self.plane.request("GET", self.path(manifest))
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def edit(
        self, manifest: Mapping[str, Any], body: Any, how: str = "merge", manager: str = "editor"
    ) -> dict[str, Any]:
        """Patch an object as `manager`: `json`, `merge` or `apply` (forced). Raises ApiError."""
        force = "&force=true" if how == "apply" else ""
        path = f"{self.path(manifest)}?fieldManager={manager}{force}"
        return self.plane.request("PATCH", path, body, content_type=CONTENT_TYPES[how])

    def create_object(self, manifest: Mapping[str, Any], manager: str = "editor") -> dict[str, Any]:
        path = self.path(manifest).rpartition("/")[0]
        return self.plane.request("POST", f"{path}?fieldManager={manager}", manifest)

    def remove(self, manifest: Mapping[str, Any]) -> None:
        self.plane.request("DELETE", self.path(manifest))

    def kubectl(self, *arguments: str, text: str = "") -> str:
        """Run the real kubectl as admin in our namespace; its output. AssertionError when it fails."""
        kubeconfig = self.folder / "kubeconfig"
        document = json.loads(self.plane.kubeconfig.read_text())
        document["contexts"][0]["context"]["namespace"] = self.namespace
        kubeconfig.write_text(json.dumps(document))
        command = ["kubectl", "--kubeconfig", str(kubeconfig), *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, app: Application) -> dict[tuple[str, str, str, str], ResourceStatus]:
        """What the hub knows of each resource, by (group, kind, namespace, name)."""
        return {(row.group, row.kind, row.namespace, row.name): row for row in app.resources.all()}


@pytest.fixture
def real_world(
    control_plane: ControlPlane, tmp_path: Path, transactional_db: None, settings: Any
) -> Iterator[RealWorld]:
    settings.HUB_MIRROR_DIR = tmp_path / "mirrors"
    yield RealWorld(control_plane, tmp_path)
    kube.shutdown()
