"""What a Source may say (sources.md 4.1, 4.2, 4.9), and when to look again (2.6, 6)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hub.core.globs import InvalidGlob, compile_glob
from hub.core.sources import RepositoryAccess, SourceLimits, parse_sources, source_errors
from hub.core.sources.backoff import (
    next_poll_for_hint,
    parse_retry_after,
    render_retry,
    unavailable_wait,
    wait_after,
)
from hub.core.sources.spec import clean_path, with_overrides
from hub.errors import SourceError

URL = "https://git.example.com/a"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WRONG = [
    ({}, "InvalidSource: source or sources is required"),
    ({"source": {"repoURL": URL}}, "InvalidSource: source: repoURL and one of path, chart, ref are required"),
    (
        {"sources": [{"repoURL": URL, "path": "a"}, {"path": "b"}]},
        "InvalidSource: source 2: repoURL and one of path, chart, ref are required",
    ),
    ({"source": {"repoURL": URL, "path": "/x"}}, 'InvalidSource: path "/x" must be relative'),
    ({"source": {"repoURL": URL, "path": "../x"}}, 'InvalidSource: path "../x" is outside the repository'),
    ({"source": {"repoURL": URL, "path": "a/../../x"}}, 'InvalidSource: path "a/../../x" is outside the repository'),
    ({"source": {"repoURL": URL, "chart": "x"}}, "InvalidSource: source: chart needs targetRevision"),
    (
        {"source": {"repoURL": "ext::sh", "path": "x"}},
        'InvalidURL: "ext::sh" is not a repository address; use https:// or ssh://',
    ),
    (
        {"source": {"repoURL": URL, "path": "x", "helm": {}, "kustomize": {}}},
        "MultipleTools: more than one tool is set: Helm, Kustomize",
    ),
    (
        {"source": {"repoURL": URL, "path": "x", "directory": {"exclude": "{a"}}},
        'InvalidGlob: exclude pattern "{a" is not closed',
    ),
    (
        {"sources": [{"repoURL": URL, "path": "x"}, {"repoURL": URL, "ref": "a/b"}]},
        'InvalidRef: sources[1].ref "a/b" may hold letters, digits, _ and - only',
    ),
    (
        {"sources": [{"repoURL": URL, "ref": "values"}, {"repoURL": URL, "ref": "values"}]},
        'InvalidRef: two sources have ref "values"',
    ),
    (
        {
            "sources": [
                {"repoURL": URL, "ref": "values"},
                {"repoURL": URL, "path": "c", "helm": {"valueFiles": ["$vals/a.yaml", "$ARGOCD_APP_NAME/x"]}},
            ]
        },
        "InvalidRef: value file uses $vals, known refs are: $values",
    ),
    ({"source": {"repoURL": URL, "path": "x", "directory": {"recurse": "yes"}}}, "InvalidSource: directory.recurse must be true or false"),
    ({"source": {"repoURL": URL, "path": 3}}, "InvalidSource: source 1: path must be text"),
    ({"source": "x"}, "InvalidSource: source 1 must be an object"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "sentence"), WRONG, ids=[row[1][:60] for row in WRONG])
def test_a_wrong_source_is_told_by_code_and_sentence(spec, sentence):
    assert [str(error) for error in source_errors(spec)] == [sentence]
    with pytest.raises(SourceError):
        parse_sources(spec)


def test_s35_an_empty_tool_object_counts_as_set():
    with pytest.raises(SourceError, match="MultipleTools"):
        parse_sources({"source": {"repoURL": URL, "path": ".", "helm": {}, "kustomize": {}}})


def test_sources_win_over_source_and_are_numbered():
    found = parse_sources(
        {
            "source": {"repoURL": URL, "path": "z"},
            "sources": [{"repoURL": URL, "path": "a"}, {"repoURL": URL, "ref": "r"}],
        }
    )
    assert [(s.number, s.path, s.only_ref) for s in found] == [(1, "a", False), (2, "", True)]


def test_every_fault_of_a_spec_is_told():
    spec = {"sources": [{"repoURL": URL}, {"repoURL": URL, "path": "/x"}]}
    assert [error.code for error in source_errors(spec)] == ["InvalidSource", "InvalidSource"]


@pytest.mark.parametrize(
    ("path", "expected"), [(".", ""), ("./a//b/", "a/b"), ("a/../b", "b"), ("", ""), ("a/./b/../c", "a/c")]
)
def test_paths_have_one_form(path, expected):
    assert clean_path(path) == expected


def test_s36_overrides_change_parameters_and_never_where_the_source_comes_from():
    source = parse_sources({"source": {"repoURL": URL, "path": "web", "helm": {"releaseName": "a", "x": 1}}})[
        0
    ]
    patch = {
        "repoURL": "https://evil",
        "path": "/",
        "helm": {"parameters": [{"name": "a"}], "x": None},
        "colour": "red",
    }
    changed, warnings = with_overrides(source, patch, ".argocd-source-web.yaml")
    assert (changed.repo_url, changed.path) == (URL, "web")
    assert changed.tools == {"helm": {"releaseName": "a", "parameters": [{"name": "a"}]}}
    assert [w.message for w in warnings] == [".argocd-source-web.yaml: colour is ignored"]
    assert source.tools == {"helm": {"releaseName": "a", "x": 1}}


def test_s36_an_override_that_is_no_object_is_refused():
    source = parse_sources({"source": {"repoURL": URL, "path": "web"}})[0]
    for patch in ([], "x", {"helm": 3}):
        with pytest.raises(SourceError, match="InvalidSource"):
            with_overrides(source, patch, ".argocd-source.yaml")


def test_secrets_of_an_access_never_show():
    access = RepositoryAccess(
        "1",
        URL,
        password="SENTINEL",
        bearer_token="SENTINEL",
        ssh_private_key="SENTINEL",
        proxy_url="SENTINEL",
    )
    assert "SENTINEL" not in repr(access)
    assert "SENTINEL" in access.secrets
    assert access.credential_digest != RepositoryAccess("1", URL).credential_digest
    assert not RepositoryAccess("1", URL, insecure=True).skip_checks


GLOBS = [
    ("*.yaml", "a/b.yaml", True),
    ("*.yaml", "a/b.yml", False),
    ("{config.json,env-usw2/*}", "env-usw2/deep/x.yaml", True),
    ("{config.json,env-usw2/*}", "config.json", True),
    ("{a,{b,c}d}", "cd", True),
    ("?", "/", True),
    ("[a-c]x", "bx", True),
    ("[!a-c]x", "bx", False),
    ("[!a-c]x", "/x", True),
    ("\\*", "*", True),
    ("\\*", "a", False),
    ("a,b", "a,b", True),
    ("a}", "a}", True),
    ("", "", True),
    ("a.c", "abc", False),
    ("(a|b)+$", "(a|b)+$", True),
]


@pytest.mark.parametrize(("pattern", "text", "expected"), GLOBS)
def test_the_pattern_language_of_directories(pattern, text, expected):
    assert compile_glob(pattern).matches(text) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("https://h/*/x", "https://h/a/x", True),
        ("https://h/*/x", "https://h/a/b/x", False),
        ("https://h/**", "https://h/a/b/x", True),
        ("https://h/[!b]", "https://h//", False),
    ],
)
def test_with_segments_one_star_stays_within_a_segment(pattern, text, expected):
    assert compile_glob(pattern, segments=True).matches(text) is expected


@pytest.mark.parametrize(
    ("pattern", "position"),
    [
        ("{a", 0),
        ("x[a", 1),
        ("a\\", 2),
        ("[z-a]", 0),
        ("*" + "a*" * 16, 32),
        ("{" + "," * 64 + "}", 64),
        ("a" * 513, 512),
    ],
)
def test_a_bad_pattern_is_refused_with_its_position(pattern, position):
    with pytest.raises(InvalidGlob) as caught:
        compile_glob(pattern)
    assert caught.value.position == position


def test_s19_what_a_server_asks_for_is_honoured_within_bounds():
    assert parse_retry_after("120", NOW) == 120
    assert parse_retry_after("0", NOW) == 5
    assert parse_retry_after("999999999999999999", NOW) == 3600
    assert parse_retry_after("Mon, 23 Nov 2026 12:01:00 GMT", NOW) == 60
    assert parse_retry_after("soon", NOW) is None
    limited = SourceError("RateLimited", "x", permanent=False, retry_after=120)
    assert wait_after(limited, 1) == timedelta(seconds=120)


def test_an_unavailable_server_waits_longer_each_time():
    assert [unavailable_wait(n).total_seconds() for n in (1, 2, 3, 7, 50)] == [30, 60, 120, 1800, 1800]
    assert wait_after(SourceError("RepositoryUnavailable", "x", permanent=False), 2) == timedelta(seconds=60)
    assert wait_after(SourceError("AuthenticationFailed", "x"), 5) == timedelta(minutes=10)
    assert wait_after(SourceError("RevisionNotFound", "x"), 5) is None


def test_renders_that_the_surroundings_failed_are_tried_again():
    assert [render_retry(n).total_seconds() for n in (1, 2, 3, 4, 9)] == [30, 120, 600, 3600, 3600]


def test_s30_hints_cause_at_most_one_listing_a_second():
    last, polls = None, 0
    for hint in range(100):
        now = NOW + timedelta(seconds=hint / 10)
        if last is None or next_poll_for_hint(now, last) <= now:
            last, polls = now, polls + 1
    assert polls <= 11


def test_limits_are_read_from_settings_of_the_name_their_errors_tell():
    assert SourceLimits.read({"HUB_SOURCE_MAX_BYTES": "20000000", "OTHER": "x"}) == SourceLimits(
        max_bytes=20_000_000
    )
    for bad in ("", "0", "-1", "1e3", "x"):
        with pytest.raises(ValueError, match="HUB_SOURCE_MAX_BYTES"):
            SourceLimits.read({"HUB_SOURCE_MAX_BYTES": bad})
