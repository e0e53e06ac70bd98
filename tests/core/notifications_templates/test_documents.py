"""Values never become structure (notifications.md 4.3, examples 27 to 30)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications.core import documents, marks
from notifications.core.gotemplates import parse_template, render
from notifications.core.gotimes import Clock
from notifications.core.links import safe_link
from notifications.errors import TemplateError

CLOCK = Clock(datetime(2026, 1, 2, 12, tzinfo=UTC))


def made(text: str, marking: str = "", **data: Any) -> Any:
    return documents.plain(documents.parse(render(parse_template(text), data, CLOCK, marking)))


def slack(text: str, **data: Any) -> Any:
    return documents.for_slack(documents.parse(render(parse_template(text), data, CLOCK, marks.SLACK)))


ATTACHMENTS = """[{
  "title": "{{ .name }}", "title_link": "{{ .url }}", "color": "#18be52",
  "fields": [
  {{ range $i, $c := .conditions }}{{ if $i }},{{ end }}
    {"title": "{{ $c.type }}", "value": "{{ $c.message }}", "short": true}
  {{ end }}]
}]"""


def test_quotes_cannot_break_attachments() -> None:
    message = 'it said "no" \\ and\na new line'
    value = made(ATTACHMENTS, name="shop", url="https://h/a", conditions=[{"type": "A", "message": message}])
    assert value[0]["fields"] == [{"title": "A", "value": message, "short": True}]


def test_a_value_cannot_add_a_button() -> None:
    hostile = '"}, {"type": "actions", "elements": []}, {"text": "'
    value = slack('[{"type": "section", "text": {"type": "mrkdwn", "text": "{{ .m }}"}}]', m=hostile)
    assert value == [{"type": "section", "text": {"type": "mrkdwn", "text": hostile}}]


@pytest.mark.parametrize("hostile", ['a "b" \\ it\'s\nnew <x> &', "\\", '"', "plain", "\\u0022", "tab\t"])
def test_a_working_workaround_is_left_alone(hostile: str) -> None:
    assert made('{"a": "{{ .m | js }}"}', m=hostile) == {"a": hostile}
    assert made('{"a": {{ toJson .m }}}', m=hostile) == {"a": hostile}
    assert made('{"a": {{ .m | quote }}}', m=hostile) == {"a": hostile}
    workaround = (
        '{"a": "{{ .m | replace "\\\\" "\\\\\\\\" | replace "\\"" "\\\\\\"" | replace "\\n" "\\\\n" }}"}'
    )
    assert made(workaround, m=hostile) == {"a": hostile}


def test_nobody_mentions_the_channel_by_commit() -> None:
    hostile = "<!channel> <http://evil|login>"
    value = slack('[{"text": "*{{ .m }}* <https://h|more>", "title": "{{ .m | js }}"}]', m=hostile)
    shown = "&lt;!channel&gt; &lt;http://evil|login&gt;"
    assert value == [{"text": f"*{shown}* <https://h|more>", "title": shown}]


@pytest.mark.parametrize(
    "pipeline", [".m", '.m | replace "zz" ""', ".m | js", '.m | regexReplaceAll "zz" ""', ".m | toString"]
)
def test_a_spelled_out_bracket_is_no_mention_either(pipeline: str) -> None:
    hostile = "\\u003c!channel\\u003E"
    if "regexReplaceAll" in pipeline:
        pipeline = 'regexReplaceAll "zz" .m ""'
    assert "<!" not in str(slack('[{"text": "{{ ' + pipeline + ' }}"}]', m=hostile))
    assert "<!" not in str(slack('- text: "{{ ' + pipeline + ' }}"\n', m=hostile))
    assert "<!" not in str(slack("[{{ .m }}]", m=f'"{hostile}"'))
    assert "<!" not in str(slack("- text: {{ .m | replace `zz` `` }}", m=f'"{hostile}"'))


def test_values_of_attachment_fields_are_escaped() -> None:
    value = slack(ATTACHMENTS, name="n", url="https://h", conditions=[{"type": "<t>", "message": "<!here>"}])
    assert value[0]["fields"] == [{"title": "&lt;t&gt;", "value": "&lt;!here&gt;", "short": True}]
    assert value[0]["color"] == "#18be52"


def test_link_keys_hold_links_or_nothing() -> None:
    text = '[{"title_link": "{{ .a }}", "image_url": "{{ .b }}", "text": "x"}]'
    value = slack(text, a="https://h/?a=1&b=2", b="javascript:alert(1)")
    assert value == [{"title_link": "https://h/?a=1&b=2", "text": "x"}]


@pytest.mark.parametrize(
    "text",
    ['{"a": {{ .m }}}', '{"a": tru{{ .e }}}', '{"a": "\\{{ .m }}"}', '{"a": 1{{ .c }} "b": 2}', '{"{{ .k }}": 1, "x": 2}',
     '{"a": NaN}', "[1", '{"a": "{{ .m }}'],
)  # fmt: skip
def test_what_is_no_document_is_an_error(text: str) -> None:
    with pytest.raises(TemplateError) as caught:
        made(text, m='x", "y": "z', e="e", c=",", k="x")
    assert caught.value.code == "document"


def test_a_blank_document_is_none() -> None:
    assert made("{{ if .x }}[]{{ end }}\n") is None


def test_yaml_keeps_types_and_structure() -> None:
    text = "- title: {{ .t }}\n  n: {{ .n }}\n  quoted: '{{ .n }}'\n  json: {{ toJson .l }}\n  block: |\n    a {{ .t }}\n"
    hostile = "x: [1]\n- y: 2"
    assert made(text, t=hostile, n=5, l=[1, "a"]) == [
        {"title": hostile, "n": 5, "quoted": "5", "json": [1, "a"], "block": f"a {hostile}\n"}
    ]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=40), st.text(max_size=40))
def test_any_value_keeps_the_structure_of_json(one: str, other: str) -> None:
    text = '{"a": "x{{ .one }}y", "b": [{{ toJson .other }}, "{{ .other | js }}"], "c": {"{{ "k" }}": 1}}'
    value = made(text, one=one, other=other)
    assert set(value) == {"a", "b", "c"}
    assert value["a"] == f"x{marks.scrub(one)}y"
    assert value["b"] == [marks.scrub(other)] * 2
    json.dumps(value)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=40))
def test_any_value_keeps_the_structure_of_yaml(value: str) -> None:
    shown = made("a: {{ .v }}\nb: \"{{ .v }}\"\nc:\n- '{{ .v }}'\n", v=value)
    assert set(shown) == {"a", "b", "c"}
    assert (shown["b"], shown["c"]) == (marks.scrub(value), [marks.scrub(value)])
    assert not isinstance(shown["a"], list | dict)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet="\"\\{}[],:<>&!|\n\tab1'", max_size=30))
def test_any_value_keeps_the_structure_of_blocks_for_slack(value: str) -> None:
    text = '[{"type": "section", "text": {"type": "mrkdwn", "text": "{{ .v }} {{ .v | js }} {{ .v | replace "a" "b" }}"}}]'
    (block,) = slack(text, v=value)
    assert set(block) == {"type", "text"}
    assert "<" not in block["text"]["text"]
    assert ">" not in block["text"]["text"]


@pytest.mark.parametrize(
    ("url", "fine"),
    [("https://h/a?b=c#d", True), ("http://h:8080", True), ("javascript:x", False), ("https://u@h/", False),
     ("https://u:p@h/", False), ("https://h/\nx", False), ("https://h/a b", False), ("//h/a", False), ("", False),
     ("https://", False), ("mailto:a@b.example", False), ("https://h|x", False), ("https://h:x/", False)],
)  # fmt: skip
def test_only_links_become_links(url: str, fine: bool) -> None:
    assert (safe_link(url) == url) is fine
    assert safe_link("mailto:a@b.example", mail=True) == "mailto:a@b.example"


def test_half_a_surrogate_pair_reaches_no_channel() -> None:
    assert made('{"a": "\\ud800 \\ud83d\\ude00 {{ .m | js }}"}', m="\ud800") == {"a": "\ufffd 😀 \ufffd"}
    assert slack('["\\udc00"]') == ["\ufffd"]
