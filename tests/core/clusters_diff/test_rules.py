"""Ignore rules and the bounded path language (sync-semantics.md 6.2)."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.core.diff import (
    NO_RULES,
    IgnoreRule,
    IgnoreRules,
    Unevaluated,
    compare,
    compile_rules,
    join_rules,
    rules_from_spec,
    system_rules,
)
from clusters.core.diff.evaluate import TooMuch, places, without
from clusters.core.diff.expressions import Unsupported, parse_expression
from clusters.core.manifests import ResourceKey
from tests.core.clusters_diff.cases import answer_of, config_map, deployment

OBJECT: dict[str, Any] = {
    "spec": {
        "a.b": 1,
        "list": [{"name": "x", "v": 1, "t": True}, {"name": "xy", "v": 2}, {"name": "z", "v": 3}],
        "map": {"p": {"q": 1}, "r": {"q": 2}},
    }
}


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (".spec", [("spec",)]),
        (".", [()]),
        ('.spec."a.b"', [("spec", "a.b")]),
        ('.spec["a.b"]', [("spec", "a.b")]),
        (".spec.list[0]", [("spec", "list", 0)]),
        (".spec.list[-1].name", [("spec", "list", 2, "name")]),
        (".spec.list[].v", [("spec", "list", 0, "v"), ("spec", "list", 1, "v"), ("spec", "list", 2, "v")]),
        (".spec.map[].q", [("spec", "map", "p", "q"), ("spec", "map", "r", "q")]),
        (".spec.missing[]?.x", []),
        (".spec.missing.deeper", []),
        ('.spec.list[] | select(.name == "x") | .v', [("spec", "list", 0, "v")]),
        ('.spec.list[] | select(.name == "x").v', [("spec", "list", 0, "v")]),
        ('.spec.list[]|select(.name != "x" and .v != 3)', [("spec", "list", 1)]),
        (
            '.spec.list[] | select(.name == "x" or .v == 3) | .name',
            [("spec", "list", 0, "name"), ("spec", "list", 2, "name")],
        ),
        ('.spec.list[] | select(.name | startswith("x"))', [("spec", "list", 0), ("spec", "list", 1)]),
        ('.spec.list[] | select(.name | endswith("y"))', [("spec", "list", 1)]),
        ('.spec.list[] | select(.name | test("^x.$"))', [("spec", "list", 1)]),
        ('.spec.list[] | select(.name | startswith("x") | not)', [("spec", "list", 2)]),
        ('.spec.list[] | select((.name == "x") | not)', [("spec", "list", 1), ("spec", "list", 2)]),
        (".spec.list[] | select(.t)", [("spec", "list", 0)]),
        (".spec.list[] | select(.t == true)", [("spec", "list", 0)]),
        (".spec.list[] | select(.v == true)", []),
        (".spec.list[] | select(.t == null)", [("spec", "list", 1), ("spec", "list", 2)]),
        ("(.spec | .list)[1]", [("spec", "list", 1)]),
    ],
)
def test_path(expression, found):
    assert places(parse_expression(expression), OBJECT) == found


@pytest.mark.parametrize(
    "expression",
    [
        "until(false; .)",
        "..",
        "recurse",
        ".a, .b",
        ".a // .b",
        ".a[1:2]",
        "def f: f; f",
        ".a | map(.x)",
        '.a | select(.b | test("(", "g"))',
        '.a | select(.b | test("("))',
        ".a[] | select(.b[] == 1)",
        "paths(..)",
        "",
        ".a |",
        ".a.b" * 40,
        "(" * 500 + "." + ")" * 500,
        "." + "a" * 2000,
        "to_entries",
        "$__loc__",
        ".a = 1",
        "select(.a > 1)",
    ],
)
def test_anything_else_needs_a_child(expression):
    with pytest.raises(Unsupported):
        parse_expression(expression)


def test_e45_a_runaway_expression_is_named_and_never_evaluated():
    rules = compile_rules([IgnoreRule(kind="Deployment", group="apps", jq_paths=("until(false; .)",))])
    live = answer_of(deployment())
    live["spec"]["replicas"] = 3
    result = compare(deployment(), live, rules)
    (problem,) = result.problems
    assert "until(false; .)" in str(problem)
    assert [d.where for d in result.differences] == [".spec.replicas"]


def test_an_expression_that_visits_too_much_ignores_nothing_and_says_so():
    wide = {"metadata": {"name": "w"}, "apiVersion": "ex.io/v1", "kind": "W", "spec": {"l": [0] * 10_001}}
    with pytest.raises(TooMuch):
        places(parse_expression(".spec.l[]"), wide)
    rules = compile_rules([IgnoreRule(group="*", jq_paths=(".spec.l[]",))])
    assert rules.strip(wide) == wide
    assert "10,000" in compare(wide, wide, rules).problems[0].message


def test_pointers_with_escapes_and_missing_paths():
    obj = config_map()
    obj["metadata"]["annotations"] = {"a/b": "1", "c~d": "2", "e": "3"}
    pointers = ("/metadata/annotations/a~1b", "/metadata/annotations/c~0d", "/no/such/path")
    rules = compile_rules([IgnoreRule(group="*", json_pointers=pointers)])
    assert rules.strip(obj)["metadata"]["annotations"] == {"e": "3"}
    assert obj["metadata"]["annotations"]["a/b"] == "1"
    assert compile_rules([IgnoreRule(group="*", json_pointers=("spec/x",))]).problems


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        (IgnoreRule(group="apps", kind="Deployment"), True),
        (IgnoreRule(group="*", kind="*"), True),
        (IgnoreRule(group="apps", kind="Depl*"), True),
        (IgnoreRule(group="", kind="Deployment"), False),
        (IgnoreRule(group="apps", kind="Deployment", name="web-*"), True),
        (IgnoreRule(group="apps", kind="Deployment", name="web"), False),
        (IgnoreRule(group="apps", kind="Deployment", namespace="sh*p"), True),
        (IgnoreRule(group="apps", kind="Deployment", namespace="other"), False),
    ],
)
def test_globs_choose_the_objects(rule, matches):
    assert rule.matches(ResourceKey("apps", "Deployment", "shop", "web-1")) is matches


def test_rules_of_one_selection_are_compiled_once():
    rules = IgnoreRules((IgnoreRule(group="apps", kind="Deployment", json_pointers=("/spec/replicas",)),))
    first = rules.for_object(ResourceKey("apps", "Deployment", "shop", "a"))
    assert rules.for_object(ResourceKey("apps", "Deployment", "shop", "b")) is first
    assert rules.for_object(ResourceKey("", "Service", "shop", "b")).digest == ""
    assert first.digest


def test_a_spec_is_read_as_argo_cd_writes_it():
    (rule,) = rules_from_spec(
        [
            {
                "group": "apps",
                "kind": "Deployment",
                "jsonPointers": ["/a"],
                "jqPathExpressions": [".b"],
                "managedFieldsManagers": ["m"],
            }
        ],
        "project",
    )
    assert (rule.json_pointers, rule.jq_paths, rule.managers, rule.origin) == (
        ("/a",),
        (".b",),
        ("m",),
        "project",
    )


def test_system_settings_speak_per_kind_or_of_all():
    rules = system_rules(
        {
            "all": {"managedFieldsManagers": ["m"]},
            "admissionregistration.k8s.io_MutatingWebhookConfiguration": {
                "jqPathExpressions": [".webhooks[]?.clientConfig.caBundle"]
            },
            "ConfigMap": {"jsonPointers": ["/data/x"]},
        }
    )
    assert [(r.group, r.kind) for r in rules] == [
        ("*", "*"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("", "ConfigMap"),
    ]
    config = IgnoreRules(rules).for_object(ResourceKey("", "ConfigMap", "shop", "c"))
    assert (len(config.paths), config.managers[0][0]) == (1, "m")


def test_joined_rules_have_another_digest():
    one = compile_rules([IgnoreRule(group="*", json_pointers=("/a",))])
    two = compile_rules([IgnoreRule(group="*", managers=("m",))])
    assert join_rules(one, NO_RULES) is one
    assert join_rules() is NO_RULES
    assert len({one.digest, two.digest, join_rules(one, two).digest}) == 3


def test_a_field_the_server_does_not_know_is_marked():
    manifest = deployment(typo=1)
    result = compare(manifest, answer_of(deployment()), undeclared=(".spec.typo",))
    assert [(d.where, d.note) for d in result.differences] == [(".spec.typo", "not in the cluster's schema")]


def test_ignored_differences_are_shown_with_their_rule():
    live = answer_of(deployment())
    live["spec"]["replicas"] = 7
    live["spec"]["template"]["spec"]["containers"][0]["image"] = "x"
    rules = compile_rules(
        [
            IgnoreRule(group="apps", json_pointers=("/spec/replicas",), origin="project"),
            IgnoreRule(
                group="apps", jq_paths=('.spec.template.spec.containers[] | select(.name == "web") | .image',)
            ),
        ]
    )
    result = compare(deployment(), live, rules, show_ignored=True)
    assert not result.differences
    assert {(d.where, d.ignored_by.partition(":")[0]) for d in result.ignored} == {
        (".spec.replicas", "project"),
        ('.spec.template.spec.containers[name="web"].image', "application"),
    }


def test_fields_of_a_manager_are_ignored():
    live = answer_of(deployment())
    live["spec"]["replicas"] = 7
    fields = {"f:spec": {"f:replicas": {}}}
    live["metadata"]["managedFields"].append({"manager": "hpa", "operation": "Update", "fieldsV1": fields})
    rules = compile_rules([IgnoreRule(group="apps", managers=("hpa",))])
    result = compare(deployment(), live, rules, show_ignored=True)
    assert not result.differences
    assert [d.ignored_by for d in result.ignored] == ["application: fields of manager hpa"]
    other = compile_rules([IgnoreRule(group="apps", managers=("other",))])
    assert [d.where for d in compare(deployment(), live, other).differences] == [".spec.replicas"]


PIECES = [
    ".",
    "a",
    "[0]",
    "[]",
    "?",
    "|",
    "select(",
    ")",
    "(",
    "==",
    "!=",
    '"x"',
    "1",
    "and",
    "or",
    "not",
    "startswith(",
    "test(",
    "true",
    " ",
]


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.text(max_size=40))
def test_any_text_is_a_path_or_unsupported(text):
    try:
        steps = parse_expression(text)
    except Unsupported:
        return
    before = copy.deepcopy(OBJECT)
    for place in places(steps, OBJECT):
        without(OBJECT, [place])
    assert before == OBJECT


@given(st.integers(0, 2), st.sampled_from(["name", "v", "missing"]))
def test_removing_a_place_leaves_the_rest(index, name):
    result = without(OBJECT, places(parse_expression(f".spec.list[{index}].{name}"), OBJECT))
    expected = copy.deepcopy(OBJECT)
    expected["spec"]["list"][index].pop(name, None)
    assert result == expected


def test_an_expression_beyond_the_language_is_left_to_a_child():
    def child(expression, obj):
        if obj.get("spec"):
            return [("spec", "l", 0)]
        raise Unevaluated("it ran longer than 1 s and was killed")

    rule = IgnoreRule(group="*", jq_paths=(".spec.l | first",), json_pointers=("spec/x",))
    rules = compile_rules([rule], child)
    assert [problem.expression for problem in rules.problems] == ["spec/x"]  # a pointer is never jq
    assert rules.strip({"spec": {"l": [1, 2]}}) == {"spec": {"l": [2]}}
    assert rules.exceeded({"spec": {"l": [1, 2]}}) == ()
    assert rules.strip({"data": {"a": 1}}) == {"data": {"a": 1}}
    assert [str(problem) for problem in rules.exceeded({"data": {}})] == [
        "ignore rule '.spec.l | first' of the application: it ran longer than 1 s and was killed"
    ]
    assert rules.digest == compile_rules([rule], lambda *_: []).digest != ""
