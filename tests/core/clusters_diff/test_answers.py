"""What a real API server (1.36.1) made of our applies: one file per kind, `{sent, answer, later}`.

`sent` is the stamped manifest, `answer` the reply to the forced apply, `later` the object 0.3 s on, when controllers had
written to it. Recorded with unusual but valid spellings: zero values, empty maps, unnormalised quantities.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clusters.core.diff import baseline_of, compare, drift, leaf_set_of_manifest
from clusters.core.manifests import owner_of
from tests.core.clusters_diff.cases import KEY

FILES = sorted((Path(__file__).parents[2] / "data" / "diff" / "answers").glob("*.json"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def recorded(request: pytest.FixtureRequest) -> dict[str, Any]:
    return json.loads(request.param.read_text())


def test_there_are_recordings():
    assert len(FILES) >= 30


def test_the_answer_and_what_controllers_add_are_no_drift(recorded):
    made = baseline_of(recorded["answer"], recorded["sent"], "h", key=KEY)
    assert made.admission == ()
    assert drift(made, {**recorded["later"], "metadata": moved(recorded["later"])}, key=KEY) is None


def test_the_derived_leaf_set_is_the_one_the_server_lists(recorded):
    made = baseline_of(recorded["answer"], recorded["sent"], "h", key=KEY)
    assert made.unpack()[0] == leaf_set_of_manifest(recorded["sent"])


def test_without_a_baseline_it_is_equal_too(recorded):
    for live in (recorded["answer"], recorded["later"]):
        assert compare(recorded["sent"], live).equal


def test_it_is_ours(recorded):
    assert owner_of(recorded["later"], application="app", hub_id="hub1").kind == "ours"


def moved(live: dict[str, Any]) -> dict[str, Any]:
    return {**live["metadata"], "resourceVersion": "another"}
