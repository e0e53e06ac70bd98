"""YAML as kubectl reads it (sources.md 5): the table is data, the rest is sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.core.manifests import Limits, ManifestError, canonical_json, load_documents

DATA = Path(__file__).parents[2] / "data" / "yaml"
SCALARS = json.loads((DATA / "scalars.json").read_text())
KEYS = json.loads((DATA / "keys.json").read_text())


def load(text: str | bytes, **options: object) -> list[dict]:
    data = text.encode() if isinstance(text, str) else text
    return list(load_documents(data, path="a.yaml", **options).objects)  # type: ignore[arg-type]


def refusal(text: str | bytes, **options: object) -> ManifestError:
    with pytest.raises(ManifestError) as caught:
        load(text, **options)
    return caught.value


@pytest.mark.parametrize(
    ("value", "written"), [(value, text) for value, texts in SCALARS["values"] for text in texts]
)
def test_scalar(value, written):
    (obj,) = load(f"k: {written}\n")
    assert obj["k"] == value
    assert type(obj["k"]) is type(value)


@pytest.mark.parametrize("written", SCALARS["errors"])
def test_scalar_that_is_refused(written):
    assert refusal(f"a: 1\nk: {written}\n").line == 2


@pytest.mark.parametrize(("written", "key"), KEYS["keys"])
def test_key(written, key):
    assert load(f"{written}: v\n") == [{key: "v"}]


@pytest.mark.parametrize("written", KEYS["errors"])
def test_key_that_is_refused(written):
    assert "key" in refusal(f"? {written}\n: v\n").message


def test_s53_merge_follows_document_order():
    assert load("b: &b {x: 1}\nk: {x: 9, <<: *b}\n")[0]["k"] == {"x": 1}
    assert load("b: &b {x: 1}\nk: {<<: *b, x: 9}\n")[0]["k"] == {"x": 9}


def test_in_a_list_of_merges_the_first_wins():
    text = "a: &a {x: 1}\nb: &b {x: 2, z: 2}\nk:\n  <<: [*a, *b]\n"
    assert load(text)[0]["k"] == {"x": 1, "z": 2}


def test_merge_of_what_is_no_map_is_an_error_and_a_quoted_one_is_a_key():
    assert "<<" in refusal("k: {<<: 3}\n").message
    assert "<<" in refusal("l: &l [{a: 1}]\nk: {<<: *l}\n").message
    assert load('k: {"<<": 3}\n') == [{"k": {"<<": 3}}]


def test_a_key_that_overrides_a_merge_is_no_duplicate_but_a_third_one_is():
    assert load("b: &b {x: 1}\nk: {<<: *b, x: 2}\n")[0]["k"] == {"x": 2}
    assert "appears twice" in refusal("b: &b {x: 1}\nk: {<<: *b, x: 2, x: 3}\n").message
    assert "appears twice" in refusal("b: &b {x: 1}\nk: {x: 2, <<: *b, x: 3}\n").message


def test_s54_duplicate_key_is_an_error_in_git_and_a_warning_in_output():
    text = "spec:\n  port: 1\n  port: 2\n"
    error = refusal(text)
    assert (error.code, str(error)) == ("InvalidManifest", 'a.yaml:3: key "port" appears twice')
    documents = load_documents(text.encode(), path="out", duplicate_keys="warn")
    assert documents.objects == ({"spec": {"port": 2}},)
    assert [str(w) for w in documents.warnings] == ['out:3: key "port" appears twice']


def test_duplicates_are_found_after_key_conversion():
    assert 'key "true"' in refusal("on: 1\ntrue: 2\n").message


def test_duplicate_key_in_json_names_its_line():
    assert str(refusal('{"a": 1,\n "b": 2,\n "a": 3}')) == 'a.yaml:3: key "a" appears twice'
    assert load('{"a": 1, "a": 3}', duplicate_keys="warn") == [{"a": 3}]


def alias_bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("alias bomb", alias_bomb(), "aliases expand to more than 100,000 nodes"),
        ("nested lists", "a: " + "[" * 200_000, "nested deeper than 100 levels"),
        ("nested json", '{"a": ' + "[" * 200_000, "nested deeper than 100 levels"),
        ("python object", "a: !!python/object:x.y {}", "tag !!python/object:x.y is refused"),
        ("NUL byte", "a: b\nc: \0", "control characters"),
    ],
)
def test_s55_hostile_texts_are_refused_with_line(name, text, part):
    error = refusal("# first\n" + text)
    assert error.code == "InvalidManifest"
    assert part in error.message
    assert error.line >= 2


def test_a_million_deep_file_ends_early():
    assert "deeper" in refusal("a:\n" + "".join("- " for _ in range(1_000_000))).message


def test_depth_is_counted_through_aliases():
    deep = "[" * 60 + "]" * 60
    text = f"a: &a {deep}\nb: &b " + "[" * 30 + "*a" + "]" * 30 + "\nc: " + "[" * 20 + "*b" + "]" * 20
    assert "deeper" in refusal(text).message


def test_aliases_become_separate_values():
    (obj,) = load("a: &a {x: [1]}\nb: *a\n")
    assert obj["a"] == obj["b"]
    assert obj["a"] is not obj["b"]
    assert obj["a"]["x"] is not obj["b"]["x"]


def test_an_alias_to_itself_or_to_another_document_is_refused():
    assert "no anchor" in refusal("a: &a [*a]\n").message
    assert "no anchor" in refusal("a: &a 1\n---\nb: *a\n").message


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (Limits(nodes=5), "a: [1, 2, 3, 4]"),
        (Limits(aliases=1), "a: &a 1\nb: [*a, *a]"),
        (Limits(scalar_bytes=8), "a: 123456789x"),
        (Limits(scalar_bytes=8), 'a: "äääää"'),
        (Limits(documents=2), "a: 1\n---\na: 1\n---\na: 1"),
        (Limits(documents=2), '{"a":1}{"a":1}{"a":1}'),
        (Limits(nodes=5), '{"a":[1,2,3,4,5]}'),
        (Limits(scalar_bytes=8), '{"a":"123456789"}'),
    ],
)
def test_every_limit_is_kept(limits, text):
    refusal(text, limits=limits)


def test_separators_and_empty_documents():
    assert load("---\n# only a comment\n---\na: 1\n--- # note\nb: 2\n---   \n---\n~\n") == [
        {"a": 1},
        {"b": 2},
    ]
    assert str(refusal("a: 1\n--- b: 2\n")) == "a.yaml:2: invalid document separator: ---b: 2"
    assert refusal("a: 1\n---b\n").message.startswith("invalid document separator")
    assert load("a: |\n  x\n  ---\n  y\n") == [{"a": "x\n---\ny\n"}]


def test_text_after_the_document_end_is_dropped():
    assert load("a: 1\n...\n}} anything [\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]
    refusal("[a] b\n")


def test_lines_count_across_documents():
    assert refusal("a: 1\n---\nb: 2\nb: 3\n").line == 4
    documents = load_documents(b"a: 1\n---\n\nb: 2\n", path="a.yaml")
    assert documents.lines == (1, 2)
    assert refusal("a: 1\n---\nb: [\n").document == 2


@pytest.mark.parametrize("text", ["%YAML 1.2\n---\na: 1\n", "%TAG ! tag:x,1:\n---\na: 1\n"])
def test_directives_are_refused(text):
    assert refusal(text).line == 1


@pytest.mark.parametrize("text", ["just text\n", "- a\n- b\n", "3\n"])
def test_a_document_that_is_no_map_is_an_error(text):
    assert "document 1 is" in refusal(text).message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings_with_and_without_mark(encoding):
    marks = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}
    assert load(marks.get(encoding, b"") + "a: ü\r\nb: 2\r\n".encode(encoding)) == [{"a": "ü", "b": 2}]


def test_bad_utf8_names_the_line():
    assert refusal(b"a: 1\nb: \xff\n").line == 2


def test_tabs_as_indentation_are_errors():
    assert refusal("a:\n\tb: 1\n").line == 2


def test_json_objects_in_a_row_and_numbers():
    assert load('{"a": 1.0}\n{"b": 99999999999999999999}') == [{"a": 1}, {"b": 1e20}]
    assert load("{a: b}\n---\nc: 1\n") == [{"a": "b"}, {"c": 1}]
    assert load('{"a": NaN}') == [{"a": "NaN"}]
    refusal('{"a": "\\ud800"}')


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_give_objects_or_a_manifest_error(data):
    try:
        documents = load_documents(data, path="x")
    except ManifestError as error:
        assert error.message
        return
    for obj in documents.objects:
        assert isinstance(obj, dict)
        canonical_json(obj)


TOKENS = [
    "a: ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "<<: ",
    "\n",
    "  ",
    "---\n",
    "...",
    ", ",
    "? ",
    ": ",
    "!!str ",
    "1e3",
    "'q'",
    "|",
    "x",
]


@given(st.lists(st.sampled_from(TOKENS), max_size=60).map("".join))
def test_any_tokens_give_objects_or_a_manifest_error(text):
    try:
        documents = load_documents(text.encode(), path="x", duplicate_keys="warn")
    except ManifestError:
        return
    for obj in documents.objects:
        canonical_json(obj)


plain_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), plain_json, max_size=4))
def test_json_is_read_as_what_it_says(value):
    assert load(json.dumps(value)) == [value]
