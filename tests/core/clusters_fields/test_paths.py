"""Paths as server-side apply prints them, found again in the body that was sent."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.core import fields

HEAD = "failed to create typed patch object (kt/dep; apps/v1, Kind=Deployment):"
BODY: dict[str, Any] = {
    "metadata": {"labls": {}, "labels": {"app.kubernetes.io/name": "x", "app": "y"}},
    "spec": {
        "containers": [
            {"name": "c", "env": [{"name": "A", "v": 1}, {"name": "B"}, {"name": "A", "v": 2}], "typo": 1},
            {"name": "we]ird", "typo": 2},
        ],
        "ports": [{"port": 80, "n": 1}, {"port": 80, "protocol": "TCP", "n": 2}, {"port": 81}],
        "finalizers": ["x", "y", "x"],
        "atomic": [{"a": 1, "typo": 3}, {"a": 2}],
    },
}


def dropped(path: str) -> dict[str, Any] | None:
    body = copy.deepcopy(BODY)
    return body if fields.drop(body, path) else None


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (f"{HEAD} .metadata.labls: field not declared in schema", [".metadata.labls"]),
        (
            f"{HEAD} errors:\n  .metadata.labls: field not declared in schema\n"
            '  .spec.containers[name="c"].typo: field not declared in schema\n'
            "  .spec.replicas: expected numeric (int or float), got string",
            [".metadata.labls", '.spec.containers[name="c"].typo'],
        ),
        (f"{HEAD} .spec.x y.z: field not declared in schema", [".spec.x y.z"]),
        ("something else", []),
    ],
)
def test_undeclared_paths_are_read_out_of_the_message(message: str, expected: list[str]) -> None:
    assert fields.undeclared(message) == expected


def test_duplicate_keys_are_read_out_of_the_message() -> None:
    message = (
        f"{HEAD} errors:\n"
        '  .spec.containers[name="c"].env: duplicate entries for key [name="A"]\n'
        '  .spec.ports: duplicate entries for key [port=80,protocol="TCP"]'
    )
    assert fields.duplicate_lists(message) == [
        ('.spec.containers[name="c"].env', '[name="A"]'),
        (".spec.ports", '[port=80,protocol="TCP"]'),
    ]


def test_a_path_through_a_keyed_list_drops_that_item_s_field_only() -> None:
    body = dropped('.spec.containers[name="c"].typo')
    assert body is not None
    assert "typo" not in body["spec"]["containers"][0]
    assert body["spec"]["containers"][1]["typo"] == 2


def test_a_bracket_inside_a_quoted_key_does_not_end_it() -> None:
    body = dropped('.spec.containers[name="we]ird"].typo')
    assert body is not None
    assert body["spec"]["containers"][1] == {"name": "we]ird"}


def test_names_with_dots_and_slashes_are_found() -> None:
    body = dropped(".metadata.labels.app.kubernetes.io/name")
    assert body is not None
    assert body["metadata"]["labels"] == {"app": "y"}
    body = dropped(".metadata.labels.app")
    assert body is not None
    assert body["metadata"]["labels"] == {"app.kubernetes.io/name": "x"}


def test_items_of_atomic_lists_are_found_by_index() -> None:
    body = dropped(".spec.atomic[0].typo")
    assert body is not None
    assert body["spec"]["atomic"] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        ".nope",
        ".spec.atomic[9].a",
        '.spec.containers[name="z"].typo',
        "[0]",
        ".spec.atomic[",
        ".spec[",
    ],
)
def test_what_is_not_there_is_not_dropped(path: str) -> None:
    assert dropped(path) is None


def test_e37_of_entries_with_one_key_the_last_is_kept_at_its_place() -> None:
    body = copy.deepcopy(BODY)
    assert fields.keep_last(body, '.spec.containers[name="c"].env', '[name="A"]')
    assert body["spec"]["containers"][0]["env"] == [{"name": "B"}, {"name": "A", "v": 2}]
    assert not fields.keep_last(body, '.spec.containers[name="c"].env', '[name="A"]')


def test_a_defaulted_part_of_the_key_may_be_left_out() -> None:
    body = copy.deepcopy(BODY)
    assert fields.keep_last(body, ".spec.ports", '[port=80,protocol="TCP"]')
    assert body["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "n": 2}, {"port": 81}]


def test_sets_keep_the_last_of_equal_values() -> None:
    body = copy.deepcopy(BODY)
    assert fields.keep_last(body, ".spec.finalizers", '[="x"]')
    assert body["spec"]["finalizers"] == ["y", "x"]


@given(st.text(alphabet='.abc[]=",\\0 ', max_size=30), st.text(alphabet='[]=",a\\0', max_size=12))
def test_d8_no_text_breaks_the_readers(path: str, key: str) -> None:
    body = copy.deepcopy(BODY)
    fields.drop(body, path)
    fields.keep_last(copy.deepcopy(BODY), path, key)
    fields.undeclared(path)
    fields.duplicate_lists(path + key)


def test_the_field_that_a_default_forbids_is_named_by_the_cause() -> None:
    causes = [
        ("spec.x", "FieldValueRequired", "Required value"),
        (
            "spec.strategy.rollingUpdate",
            "FieldValueForbidden",
            "may not be specified when strategy `type` is 'Recreate'",
        ),
    ]
    assert fields.forbidden_default(causes) == "spec.strategy.rollingUpdate"
    assert fields.forbidden_default(causes[:1]) == ""


def test_values_are_read_and_set_by_dotted_paths() -> None:
    assert fields.value_at(BODY, "spec.ports[2].port") == 81
    assert fields.value_at(BODY, "spec.nope.x") is None
    assert fields.value_at(BODY, "spec.ports[9]") is None
    body: dict[str, Any] = {"spec": {"a": 1}}
    assert fields.with_value(body, "spec.strategy", {"b": 2}) == {"spec": {"a": 1, "strategy": {"b": 2}}}
    assert body == {"spec": {"a": 1}}
    assert fields.with_value(body, "spec.ports[0].x", 1) is body
