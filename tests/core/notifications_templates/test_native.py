"""Native templates in their sandbox (notifications.md 4.4)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications.core.templates import Message, MessageField, read_native, render_native
from notifications.errors import ConfigError, TemplateError

EVENT: dict[str, Any] = {
    "summary": "Sync of shop failed",
    "severity": "error",
    "episode": 3,
    "app": {"name": "shop", "items": 5, "labels": {"b": "2", "a": "1"}},
    "changes": [{"name": f"c{n}", "message": "x" * 10} for n in range(3)],
    "long": "y" * 60_000,
    "many": list(range(200)),
}


def made(**form: Any) -> Message:
    return render_native(read_native("t", form), EVENT, {"env": "prod"})


def test_leaves_fill_the_message() -> None:
    message = made(
        title="{{ app.name|upper }} in {{ context.env }}",
        body="{% for c in event.changes %}{{ loop.index }}. {{ c.name }}\n{% endfor %}",
        fields=[
            {"title": "Labels", "value": "{% for k, v in app.labels|dictsort %}{{ k }}={{ v }} {% endfor %}"},
            {"title": "No", "value": "{{ event.x.y.z }}"},
        ],
        link="https://h/{{ app.name }}",
        actions=[
            {"kind": "open", "label": "Look", "link": "https://h"},
            {"kind": "open", "label": "Bad", "link": "javascript:x"},
            {"kind": "retry-sync"},
        ],
        policy="Update",
        mention="@oncall",
    )
    assert message.title == "SHOP in prod"
    assert message.body == "1. c0\n2. c1\n3. c2"
    assert message.fields == (MessageField("Labels", "a=1 b=2"),)
    assert [(action.kind, action.link) for action in message.actions] == [
        ("open", "https://h"),
        ("retry-sync", None),
    ]
    assert (message.link, message.policy, message.mention, message.severity) == (
        "https://h/shop",
        "Update",
        "@oncall",
        "error",
    )
    assert message.thread == "ep/shop/3"


def test_a_mention_is_for_what_is_urgent() -> None:
    assert made(severity="warning", mention="@here").mention == ""


def test_a_key_that_python_also_knows_is_data() -> None:
    assert made(body="{{ app.items }} {{ app.keys }}|").body == "5 |"


def test_texts_are_cut_and_never_too_long() -> None:
    message = made(title="{{ event.long[:200] }}", body="{{ event.long }}")
    assert (len(message.title), len(message.body)) == (150, 12_000)
    assert message.title.endswith("…")


@pytest.mark.parametrize(
    "leaf",
    ["{% include 'x' %}", "{% import 'x' as y %}", "{% from 'x' import y %}", "{% extends 'x' %}", "{% macro m() %}{% endmacro %}",
     "{% set a = 1 %}", "{% set a %}x{% endset %}", "{% with a = 1 %}{% endwith %}", "{{ event.__class__ }}", "{{ _budget }}",
     "{{ event['a'].upper() }}", "{{ event.items() }}", "{{ 'x'|pprint }}", "{{ [1]|_turns }}", "{{ 'a'|format(1) }}",
     "{{ lipsum() }}", "{% for a in [1] %}{% for b in [1] %}{% for c in [1] %}{% endfor %}{% endfor %}{% endfor %}", "{{", "{% block a %}{% endblock %}",
     "{% filter upper %}{% endfilter %}", "{{ x | nosuch }}", "x" * 8200, "(" * 2000],
)  # fmt: skip
def test_what_the_sandbox_does_not_have_is_refused(leaf: str) -> None:
    if leaf.startswith("("):
        leaf = "{{ " + leaf + "1" + ")" * 2000 + " }}"
    with pytest.raises(TemplateError):
        read_native("t", {"body": leaf})


@pytest.mark.parametrize(
    "leaf",
    ["{{ 'a' * 99999999 }}", "{{ 9 ** 9 }}", "{{ '%99999999d' % 1 }}", "{{ event.long + event.long }}",
     "{{ event.long ~ event.long }}", "{{ event.long|replace('y', event.long) }}", "{{ [event.long, event.long]|join }}",
     "{% for a in event.many %}{% for b in event.many %}{% endfor %}{% endfor %}", "{% for a in range(1001) %}{% endfor %}",
     "{% for a in event.many %}{{ event.long }}{% endfor %}", "{% for a in 5 %}{% endfor %}", "{{ 1 / 0 }}", "{{ [event.long, event.long] }}",
     "{% for a in event.many %}{% for b in event.many[:50] %}{% if " + "event.long|upper == a or " * 20 + "true %}{% endif %}{% endfor %}{% endfor %}",
     "{{ [event.long, event.long]|tojson }}", "{{ [1] + [2] }}"],
)  # fmt: skip
def test_nothing_grows_or_runs_without_bound(leaf: str) -> None:
    with pytest.raises(TemplateError):
        made(body=leaf)


@pytest.mark.parametrize(
    "leaf",
    ["{{ ''['__class__'] }}", "{{ event['__class__'] }}", "{{ [event]|map(attribute='__class__')|list }}", "{{ 'a'['upper'] }}",
     "{{ ('a'|attr)('x') }}", "{{ event.changes.append }}", "{{ event|map('attr', '__class__')|list }}"],
)  # fmt: skip
def test_no_attribute_of_a_host_object_is_reached(leaf: str) -> None:
    try:
        body = made(body=leaf).body
    except TemplateError:
        return
    assert "class" not in body
    assert "built" not in body


@pytest.mark.parametrize(
    ("form", "says"),
    [({"colour": "x"}, "unknown key"), ({"fields": "x"}, "fields is a list"), ({"actions": [{"kind": "reboot"}]}, "open or a command"),
     ({"title": 5}, "title is a text"), ({"actions": [{"kind": "open"}] * 6}, "5 actions")],
)  # fmt: skip
def test_a_form_that_cannot_be_read_says_why(form: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_native("t", form)
    assert says in str(caught.value)


def test_a_severity_or_policy_outside_the_list_is_an_error() -> None:
    with pytest.raises(TemplateError):
        made(severity="loud")


PIECES = st.sampled_from(["{{", "}}", "{%", "%}", "for a in event.many", "endfor", "if", "else", "endif", "event", ".x", "|", "upper", "join", "(", ")", "[", "]", "'a'", "1", "~", "+", "*", " ", "not", "is", "range", ","])  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=15).map(" ".join)))
def test_any_leaf_renders_or_is_refused(leaf: str) -> None:
    try:
        assert len(made(body=leaf).body) <= 12_000
    except TemplateError as problem:
        assert problem.sentence
