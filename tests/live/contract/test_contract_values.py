"""What a server makes of a manifest: values, defaults, ownership, for every kind that people deploy.

The expected answers in tests/data/contract/live.json were recorded from a real server:
HUB_LIVE=1 HUB_RECORD=1 pytest tests/live/contract/test_contract_values.py -k real
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.live.contract.client import Answer, Api, eventually

FOLDER = Path(__file__).parents[2] / "data" / "contract"
MANIFESTS = list(yaml.safe_load_all((FOLDER / "manifests.yaml").read_text()))
RECORDED = FOLDER / "live.json"
CHANGING = ("uid", "resourceVersion", "creationTimestamp", "namespace", "generation", "managedFields")
ALLOCATED = ("clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort")


def name_of(manifest: dict[str, Any]) -> str:
    return f"{manifest['kind']}-{manifest['metadata']['name']}"


def settled(value: Any, uid: str, key: str = "") -> Any:
    """A value without what differs from one server to the next."""
    if isinstance(value, dict):
        return {k: settled(v, uid, k) for k, v in sorted(value.items())}
    if isinstance(value, list):
        return [settled(item, uid, key) for item in value]
    if uid and value == uid:
        return "<uid>"
    if key in ALLOCATED and value != "None":
        return "<allocated>"
    if key == "lastPhaseTransitionTime":
        return "<time>"
    return value


def shown(obj: dict[str, Any]) -> dict[str, Any]:
    """An applied object as it is compared: generation and ownership beside its values."""
    metadata = obj["metadata"]
    kept = {k: v for k, v in metadata.items() if k not in CHANGING}
    owners = {
        f"{e['manager']}/{e['operation']}": e["fieldsV1"]
        for e in metadata.get("managedFields", ())
        if e["manager"] == "gitops-hub"
    }
    value = settled({**obj, "metadata": kept}, metadata["uid"])
    return {"object": value, "generation": metadata.get("generation"), "owners": owners}


def freed(api: Api, manifest: dict[str, Any]) -> None:
    """Objects without namespace are shared by all runs on one server: begin without them."""
    if manifest["metadata"]["name"].startswith("contract-"):
        api.delete(manifest)
        held = api.get(manifest)
        if held.status == 200 and held.body["metadata"].get("finalizers"):
            api.patch(manifest, {"metadata": {"finalizers": None}})


@pytest.mark.parametrize("manifest", MANIFESTS, ids=name_of)
def test_an_applied_manifest_becomes_what_was_recorded(api: Api, manifest: dict[str, Any]) -> None:
    freed(api, manifest)
    answer = api.apply(manifest)
    assert answer.status == 201, answer.text
    found = shown(answer.body)
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    if os.environ.get("HUB_RECORD") and api.sort == "real":
        recorded[name_of(manifest)] = found
        RECORDED.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")
    assert found == recorded[name_of(manifest)]
    freed(api, manifest)


@pytest.mark.parametrize("manifest", MANIFESTS, ids=name_of)
def test_c1_the_same_apply_again_changes_nothing(api: Api, manifest: dict[str, Any]) -> None:
    freed(api, manifest)
    first = api.applied(manifest)

    def quiet() -> Answer | None:
        """The answer of an apply between which and the GET before it no controller wrote."""
        before = api.live(manifest)["metadata"]["resourceVersion"]
        answer = api.apply(manifest)
        assert answer.status == 200, answer.text
        return answer if answer.rv == before else None

    again = eventually(quiet, what="every apply made a new resourceVersion")
    assert again.body["metadata"].get("generation") == first["metadata"].get("generation")
    mine = [e for e in first["metadata"].get("managedFields", ()) if e["manager"] == "gitops-hub"]
    held = [e for e in again.body["metadata"].get("managedFields", ()) if e["manager"] == "gitops-hub"]
    assert mine == held
    freed(api, manifest)
