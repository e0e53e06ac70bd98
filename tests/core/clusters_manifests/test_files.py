"""Which files and documents of a directory source are manifests (sources.md 4.3)."""

from __future__ import annotations

import pytest

from clusters.core.manifests import Limits, ManifestError, manifests_of_file, manifests_of_output

CM = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def names(path: str, text: str) -> list[str]:
    return [obj["metadata"]["name"] for obj in manifests_of_file(path, text.encode()).objects]


def skipped(path: str, text: str) -> str:
    found = manifests_of_file(path, text.encode())
    assert not found.objects
    return found.skipped


def refusal(path: str, text: str) -> str:
    with pytest.raises(ManifestError) as caught:
        manifests_of_file(path, text.encode())
    return str(caught.value)


def test_documents_come_in_order():
    assert names("a.yaml", CM + "---\n" + CM.replace("name: a", "name: b")) == ["a", "b"]


def test_s38_marker_and_value_files_are_skipped():
    assert "marker" in skipped("a.yaml", "# +argocd:skip-file-rendering\n" + CM)
    assert skipped("values.yaml", "replicas: 3\nimage: {tag: v1}\n") == "is no manifest"
    assert skipped("values.yaml", "- a\n- b\n") == "is no manifest"
    assert skipped("deploy.tpl.yaml", "x: {{ .Values.x }}\n") == "is no manifest"
    assert skipped("empty.yaml", "# nothing\n") == "is empty"


def test_a_broken_document_beside_a_manifest_is_an_error():
    assert refusal("a.yaml", CM + "---\nfoo: 1\n") == "a.yaml:4: document 2 has no kind"
    assert refusal("a.yaml", CM + "---\n- 1\n") == "a.yaml:4: document 2 is a list, not an object"


def test_a_file_that_reads_like_manifests_is_never_skipped():
    assert "a.yaml:5" in refusal("a.yaml", CM + "spec: [\n")
    assert "document 1 has no" in refusal("a.yaml", "x:\n  apiVersion: v1\n  kind: A\n  metadata: {}\n")


def test_json_files_hold_exactly_one_object():
    assert names("a.json", '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}') == ["a"]
    assert skipped("package.json", '{"name": "x"}') == "is no manifest"
    assert "exactly one object" in refusal("a.json", "[]")
    assert "exactly one object" in refusal("a.json", '{"kind":"A"}{"kind":"B"}')
    assert "has no apiVersion" in refusal("a.json", '{"kind": "A"}')


def test_lists_are_expanded_one_level():
    items = (
        '{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"A","metadata":{"name":"x"}}]}'
    )
    assert names("a.json", items) == ["x"]
    assert names("a.yaml", "apiVersion: v1\nkind: ConfigMapList\nitems: null\n") == []
    assert "is itself a list" in refusal(
        "a.yaml", "apiVersion: v1\nkind: List\nitems: [{kind: List, items: []}]\n"
    )
    assert "has no kind" in refusal("a.yaml", "apiVersion: v1\nkind: List\nitems: [{metadata: {name: a}}]\n")


def test_labels_that_are_not_text_are_named():
    text = CM.replace("{name: a}", "{name: a, labels: {rev: 1}}")
    assert refusal("a.yaml", text) == "a.yaml:1: metadata.labels.rev must be text, found number 1"
    assert names("a.yaml", CM.replace("{name: a}", "{name: a, labels: {rev: null}}")) == ["a"]


def test_sizes_are_limited_with_the_setting():
    with pytest.raises(ManifestError, match="HUB_MANIFEST_MAX_BYTES") as caught:
        manifests_of_file("a.yaml", CM.encode(), limits=Limits(file_bytes=10))
    assert caught.value.code == "LimitExceeded"
    with pytest.raises(ManifestError, match="HUB_OBJECT_MAX_BYTES"):
        manifests_of_file("a.yaml", CM.encode(), limits=Limits(object_bytes=10))
    with pytest.raises(ManifestError, match="HUB_MAX_OBJECTS"):
        manifests_of_file("a.yaml", (CM + "---\n" + CM).encode(), limits=Limits(objects=1))


def test_program_output_must_be_manifests_only():
    assert len(manifests_of_output(CM.encode()).objects) == 1
    assert not manifests_of_output(b"---\n# Source: chart/empty.yaml\n").objects
    with pytest.raises(ManifestError, match="document 1 has no kind"):
        manifests_of_output(b"WARNING: something\n")
