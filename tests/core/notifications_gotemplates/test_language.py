"""Go's text/template, as far as notification templates use it (notifications.md 4.2)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications.core import marks
from notifications.core.gotemplates import Secrets, parse_template, render
from notifications.core.gotemplates.functions import FUNCTIONS
from notifications.core.gotimes import Clock
from notifications.core.namespaces import namespaces
from notifications.errors import TemplateError

TABLE = yaml.safe_load(Path("tests/data/notifications/gotemplates.yaml").read_text())
CLOCK = Clock(datetime(2026, 1, 2, 12, tzinfo=UTC))
EVENT = {"commits": [{"sha": "abc", "author": "Alice", "message": "x < y", "date": "2026-01-01T00:00:00Z"}]}


def data(**more: Any) -> dict[str, Any]:
    return {**TABLE["data"], "secrets": Secrets(), **namespaces(EVENT, CLOCK, lambda _: None), **more}


def made(text: str, marking: str = "", **more: Any) -> str:
    return marks.hide(marks.finish(render(parse_template(text), data(**more), CLOCK, marking).text))


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["t"])
def test_templates_print_as_the_table_says(case: dict[str, Any]) -> None:
    if "x" in case:
        with pytest.raises(TemplateError) as caught:
            made(case["t"])
        assert case["x"] in str(caught.value)
    else:
        assert made(case["t"]) == case["o"]


def test_every_function_is_in_the_table() -> None:
    asked = " ".join(case["t"] for case in TABLE["cases"])
    assert [
        name
        for name in FUNCTIONS
        if name not in asked and name not in ("le", "gt", "println", "toPrettyJson", "lower", "list")
    ] == []


def test_a_missing_key_is_remarked_once() -> None:
    rendered = render(parse_template("{{ .app.x }}{{ .app.x }}{{ upper .app.x }}"), data(), CLOCK)
    assert rendered.remarks == (".app.x: there is no x", "upper was given nothing")


def test_data_is_escaped_for_slack_and_the_authors_text_is_not() -> None:
    hostile = "<!channel> & <http://evil|login>"
    text = '*bold* <{{ .url }}|{{ .m }}> {{ printf "<%s>" .m }} {{ .m | upper | trunc 9 }} {{ replace "<" "(" .m }}'
    assert made(text, marks.SLACK, m=hostile, url="https://h/?a=1&b") == (
        "*bold* <https://h/?a=1&amp;b|&lt;!channel&gt; &amp; &lt;http://evil|login&gt;> "
        "<&lt;!channel&gt; &amp; &lt;http://evil|login&gt;> &lt;!CHANNEL (!channel&gt; &amp; (http://evil|login&gt;"
    )


@pytest.mark.parametrize(
    "pipeline",
    ["toJson", "toRawJson", "quote", "b64enc | b64dec", "splitList \" \" | join \" \"", "regexReplaceAll \"x\" \"<x>\"",
     "regexFind \".*\"", "list | first", "dict \"a\" | toString", "toJson | fromJson", "js", "html", "cat", "wrap 5",
     "urlquery", "squote", "printf \"%q\"", "title", "nospace", "reverse_is_for_lists_only"],
)  # fmt: skip
def test_no_function_lets_data_mention_the_channel(pipeline: str) -> None:
    if pipeline.startswith("regexReplaceAll"):
        text = '{{ regexReplaceAll "zzz" .m "" }}'
    elif pipeline == "reverse_is_for_lists_only":
        text = "{{ range $k, $v := .labels }}{{ $k }}={{ $v }}{{ end }}"
    else:
        text = "{{ .m | " + pipeline + " }}"
    shown = made(text, marks.SLACK, m="<!channel>", labels={"<!here>": "<!channel>"})
    assert "<!" not in shown


def test_comparisons_see_the_raw_data() -> None:
    text = '{{ eq .m "a<b" }}{{ contains "<" .m }}{{ len .m }}{{ index .d "<k>" }}{{ get .d "<k>" }}{{ has "a<b" (list .m) }}'
    assert made(text, marks.SLACK, m="a<b", d={"<k>": 1}) == "truetrue311true"


def test_what_a_namespace_answers_is_data_too() -> None:
    assert made('{{ (call .repo.GetCommitMetadata "abc").Message }}', marks.SLACK) == "x &lt; y"
    assert made("{{ call .strings.ToUpper .m }}", marks.SLACK, m="<a>") == "&lt;A&gt;"


def test_reserved_characters_of_data_forge_nothing() -> None:
    forged = marks.secret("token")
    rendered = render(parse_template("{{ .m }}{{ .secrets.token }}"), data(m=forged), CLOCK)
    assert marks.fill(rendered.text, {"token": "s3cret"}) == "\ufffdtoken\ufffds3cret"
    assert marks.hide(rendered.text) == "\ufffdtoken\ufffd***"


def test_a_secret_in_any_other_function_is_hidden_for_good() -> None:
    rendered = render(
        parse_template('{{ printf "k=%s" .secrets.t }} {{ .secrets.t | b64enc }} {{ eq .secrets.t "***" }}'),
        data(),
        CLOCK,
    )
    assert marks.fill(rendered.text, {"t": "s3cret"}) == "k=s3cret Kioq true"


@pytest.mark.parametrize(
    "call",
    ["upper $.t", "toString $.m", "len $.m", "has 5000 $.l", "uniq $.l", "merge $.m $.m", "keys $.m", "get $.m `k1`", "sortAlpha $.l",
     "regexMatch `(?:a?){40}b` $.s", "wrap 5 $.t", "eq $.t $.s", "call $.sync.GetInfoItem $.m `x`"],
)  # fmt: skip
def test_work_on_big_values_is_bounded_too(call: str) -> None:
    big = {
        "m": {f"k{n}": {"a": "x" * 20} for n in range(4000)},
        "t": "a" * 200_000,
        "l": list(range(4000)),
        "s": "ab" * 2000,
    }
    with pytest.raises(TemplateError) as caught:
        made("{{ range 10000 }}{{ $x := " + call + " }}{{ end }}", **big)
    assert caught.value.code == "steps"


PIECES = st.sampled_from(
    ["{{", "}}", "{{- ", " -}}", "{{ end }}", "{{ else }}", "{{ if .app }}", "{{ range .app.list }}", "{{ with $x := .app.n }}",
     "{{ $x }}", "{{ define \"a\" }}", "{{ template \"a\" . }}", "{{ break }}", ".app", ".x", "$", "$x", ":=", "=", "|", "(", ")", "1",
     "'a'", '"s"', "`r`", " ", ",", "nil", "true", "text", "/*", "*/", *(f" {name} " for name in sorted(FUNCTIONS)), " and ", " call "]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(PIECES, max_size=20).map("".join),
        st.lists(PIECES, max_size=12).map(lambda p: "{{ " + "".join(p) + " }}"),
    )
)
def test_any_text_renders_or_is_refused_with_a_place(text: str) -> None:
    try:
        rendered = render(parse_template(text), data(), CLOCK, marks.SLACK)
    except TemplateError as problem:
        assert 1 <= problem.line <= text.count("\n") + 1
        assert problem.sentence
    else:
        assert len(rendered.text) <= 256 * 1024


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(FUNCTIONS)),
    st.lists(st.sampled_from(["1", "-5", "1.5", '"a"', '""', "nil", ".app", ".app.list", ".app.x", "now", "true", "99999999999"]), max_size=4),
)  # fmt: skip
def test_any_function_answers_or_says_why_not(name: str, args: list[str]) -> None:
    try:
        made("{{ " + " ".join([name, *args]) + " }}")
    except TemplateError as problem:
        assert problem.line == 1
