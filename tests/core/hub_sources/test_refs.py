"""From targetRevision to Revision (sources.md 2.2, 2.3), purely."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.sources import RefTable, is_safe_ref, moved_refs, resolve
from hub.errors import SourceError

A, B, C, D = "a" * 40, "b" * 40, "c" * 40, "d" * 40
URL = "https://git.example.com/a"


MAIN = RefTable(
    {"refs/heads/main": A, "refs/heads/release-1.0": B, "refs/tags/v1.0.0": C}, {}, "refs/heads/main", A
)


def refused(code, *args, **kwargs):
    with pytest.raises(SourceError) as caught:
        resolve(*args, url=URL, **kwargs)
    assert caught.value.code == code
    return caught.value.message


@pytest.mark.parametrize("text", ["", "HEAD", "  "])
def test_an_empty_revision_is_head(text):
    found = resolve(MAIN, text)
    assert (found.sha, found.name, found.ref, found.kind) == (A, "HEAD", "refs/heads/main", "head")


@pytest.mark.parametrize("text", [D, D.upper(), "e" * 64])
def test_a_full_id_is_that_commit(text):
    found = resolve(MAIN, text)
    assert (found.sha, found.kind, found.ref) == (text.lower(), "commit", "")


def test_a_full_ref_is_exactly_that_ref():
    assert resolve(MAIN, "refs/heads/main").sha == A
    assert resolve(RefTable({"refs/pull/7/head": B}), "refs/pull/7/head").sha == B
    assert "refs/heads/gone" in refused("RevisionNotFound", MAIN, "refs/heads/gone")


def test_a_version_is_a_name_and_not_a_range():
    refs = RefTable(
        {"refs/tags/1.2": A, "refs/tags/1.2.9": B, "refs/tags/prod/1.2": C}, {}, "refs/heads/main", ""
    )
    assert resolve(refs, "1.2").sha == A
    assert resolve(refs, "1.2", "prod/").name == "prod/1.2"
    refused("RevisionNotFound", refs, "1.3")


def test_s09_branch_and_tag_of_one_name_give_the_tag_with_a_warning():
    both = RefTable({"refs/heads/release-1.0": A, "refs/tags/release-1.0": B}, {}, "refs/heads/main", "")
    found = resolve(both, "release-1.0")
    assert found.sha == B
    assert [w.code for w in found.warnings] == ["AmbiguousRevisionWarning"]
    exact = resolve(both, "refs/heads/release-1.0")
    assert (exact.sha, exact.warnings) == (A, ())


def test_s09_branch_and_tag_at_one_commit_need_no_warning():
    both = RefTable({"refs/heads/x": A, "refs/tags/x": A}, {}, "refs/heads/main", "")
    assert resolve(both, "x").warnings == ()


def test_s10_ranges_skip_what_is_no_release():
    tags = {f"refs/tags/{name}": sha for name, sha in [("0.5.4", A), ("0.7.2", B), ("2024.03-LTS-RC19", C)]}
    refs = RefTable(tags, {}, "refs/heads/main", A)
    assert resolve(refs, "*").name == "0.7.2"
    assert resolve(refs, ">0.5.0,<0.7.0").name == "0.5.4"
    tags = {f"refs/tags/{name}": A for name in ("prod/v1.0.1", "staging/v2.0.0", "v3.0.0")}
    assert resolve(RefTable(tags), "v1.x.x", "prod/").name == "prod/v1.0.1"


def test_s11_a_marked_group_admits_pre_releases():
    refs = RefTable({"refs/tags/1.9.0": A, "refs/tags/2.0.0-rc.1": B})
    assert resolve(refs, ">=1.0.0-0 <2.0.0").sha == B


def test_s12_a_branch_that_looks_like_a_range_works_until_a_tag_matches():
    refs = RefTable({"refs/heads/1.x": A}, {}, "refs/heads/main", "")
    assert resolve(refs, "1.x").kind == "branch"
    assert resolve(RefTable({**refs.refs, "refs/tags/1.4.0": B}), "1.x").name == "1.4.0"


def test_s13_an_annotated_tag_resolves_to_the_peeled_commit_and_keeps_its_object():
    refs = RefTable({"refs/tags/v1.0.0": A}, {"refs/tags/v1.0.0": B})
    found = resolve(refs, "v1.0.0")
    assert (found.sha, found.tag_object, found.kind) == (A, B, "tag")


def test_s14_an_abbreviation_of_two_commits_names_both():
    first, second = "abcdef1" + "0" * 33, "abcdef1" + "1" * 33
    message = refused("RevisionNotFound", MAIN, "abcdef1", find_commits=lambda _: [first, second])
    assert first in message
    assert second in message


def test_an_abbreviation_is_the_one_commit_that_begins_so():
    sha = "abcdef1" + "0" * 33
    assert resolve(MAIN, "abcdef1", find_commits=lambda _: [sha]).sha == sha
    refused("RevisionNotFound", MAIN, "abcdef1")
    refused("RevisionNotFound", MAIN, "abcdef", find_commits=lambda _: [sha])


def test_digits_that_are_a_version_may_still_abbreviate_a_commit():
    sha = "1234567" + "0" * 33
    assert resolve(MAIN, "1234567", find_commits=lambda _: [sha]).sha == sha


def test_s16_a_deleted_branch_and_a_range_without_a_match_are_not_found():
    assert refused("RevisionNotFound", MAIN, "releas-1") == (
        '"releas-1" is no branch, tag, matching range or commit of https://git.example.com/a'
    )
    refused("RevisionNotFound", MAIN, ">=2 <3")


def test_s18_a_repository_without_commits_is_empty():
    assert refused("EmptyRepository", RefTable({}, {}, "refs/heads/main", ""), "") == f"{URL} has no commits"
    refused("EmptyRepository", RefTable({}), "main")
    unborn = RefTable({"refs/heads/other": A}, {}, "refs/heads/main", "")
    assert "main" in refused("EmptyRepository", unborn, "HEAD")


def test_a_tag_prefix_beside_a_plain_name_is_ignored_with_a_warning():
    found = resolve(MAIN, "main", "prod/")
    assert (found.sha, [w.code for w in found.warnings]) == (A, ["TagPrefixIgnored"])


@pytest.mark.parametrize(
    "name",
    ["-x", "--upload-pack=touch", "a..b", "main@{1}", "a b", "a~1", "a^", "a:b", "a?", "a[b", "a\\b", "/a", "a/", "a//b",
     ".a", "a/.b", "a.lock", "a.lock/b", "a.", "@", "a\x00b", "a\nb", "x" * 256, "a/-b", "refs/heads/../x", "$(id)\x7f"],
)  # fmt: skip
def test_f2_hostile_ref_names_are_refused(name):
    assert not is_safe_ref(name)
    with pytest.raises(SourceError) as caught:
        resolve(MAIN, name, url=URL)
    assert caught.value.code in ("InvalidRef", "RevisionNotFound")


@pytest.mark.parametrize(
    "name", ["main", "feature/a-b_c", "@scope/pkg@1.0.0", "v1.0.0+build", "a,b", "grün", "1.x", "a.b/c"]
)
def test_ordinary_ref_names_are_fine(name):
    assert is_safe_ref(name)


def test_the_digest_tells_whether_anything_moved_and_not_when():
    one = RefTable(
        {"refs/heads/a": A, "refs/heads/b": B}, {}, "refs/heads/a", A, datetime(2026, 1, 1, tzinfo=UTC)
    )
    two = RefTable(
        {"refs/heads/b": B, "refs/heads/a": A}, {}, "refs/heads/a", A, datetime(2026, 1, 2, tzinfo=UTC)
    )
    assert one.digest == two.digest
    assert one.digest != RefTable({"refs/heads/a": A, "refs/heads/b": C}, {}, "refs/heads/a", A).digest
    assert one.digest != RefTable(one.refs, {"refs/heads/a": D}, "refs/heads/a", A).digest


def test_a_ref_table_survives_json():
    one = RefTable(
        {"refs/tags/a": A}, {"refs/tags/a": B}, "refs/heads/a", A, datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert RefTable.from_json(one.as_json()) == one


@given(st.text(max_size=40), st.text(max_size=10))
def test_any_text_resolves_or_is_refused(text, prefix):
    try:
        found = resolve(MAIN, text, prefix)
    except SourceError as error:
        assert error.code in ("RevisionNotFound", "InvalidRef")
    else:
        assert len(found.sha) in (40, 64)


def test_what_moved_between_two_listings_is_told():
    old = RefTable({"refs/heads/a": A, "refs/heads/b": B, "refs/tags/t": A, "refs/tags/new": A})
    new = RefTable({"refs/heads/a": C, "refs/tags/t": B, "refs/heads/c": D, "refs/tags/new": A})
    moves = moved_refs(old, new)
    assert [(move.name, move.old, move.new) for move in moves] == [
        ("refs/heads/a", A, C),
        ("refs/heads/b", B, ""),
        ("refs/heads/c", "", D),
        ("refs/tags/t", A, B),
    ]
    assert [move.name for move in moves if move.tag_moved] == ["refs/tags/t"]
    assert moved_refs(old, old) == ()
