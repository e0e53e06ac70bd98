"""Repository addresses (sources.md 2.4, 2.6; security F2): forms, refusals, matching."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.sources import best_template, normalise_url, parse_url, shown, template_covers, webhook_key
from hub.errors import SourceError

DATA = Path(__file__).parents[2] / "data" / "sources"
ROWS = [line.split("\t") for line in (DATA / "urls.tsv").read_text().splitlines() if not line.startswith("#")]
REFUSED = json.loads((DATA / "urls-refused.json").read_text())


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "normal", "key"), ROWS, ids=[row[0] for row in ROWS]
)
def test_an_address_is_read_as_the_table_says(url, scheme, host, port, normal, key):
    parsed = parse_url(url)
    assert (parsed.scheme, parsed.host, parsed.port, parsed.url) == (scheme, host, int(port), url)
    assert normalise_url(url) == normal
    assert webhook_key(url) == key


@pytest.mark.parametrize("url", REFUSED, ids=repr)
def test_s24_f2_hostile_addresses_are_refused(url):
    with pytest.raises(SourceError) as caught:
        parse_url(url)
    assert caught.value.code == "InvalidURL"
    assert "secret" not in str(caught.value)
    assert "token" not in str(caught.value)


def test_userinfo_of_an_https_address_moves_to_the_credential_fields():
    parsed = parse_url("https://alice:s%40cret@git.example.com/team/app")
    assert parsed.url == "https://git.example.com/team/app"
    assert (parsed.username, parsed.password) == ("alice", "s@cret")
    assert "s@cret" not in repr(parsed)


def test_http_and_file_need_permission():
    assert parse_url("http://git.example.com/a", allow_http=True).scheme == "http"
    assert parse_url("file:///srv/git/app", allow_file=True).path == "/srv/git/app"
    assert webhook_key("file:///srv/git/app/.git") == "localhost/srv/git/app"
    for url in ("file://host/x", "file:////x", "file:///a/../b"):
        with pytest.raises(SourceError):
            parse_url(url, allow_file=True)


def test_s21_the_longest_template_that_ends_on_a_path_boundary_serves():
    templates = ["https://git.example.com/team", "https://git.example.com/team/a"]
    assert best_template(templates, "https://git.example.com/team/a/x.git") == templates[1]
    assert best_template(templates, "https://GIT.example.com/team/b") == templates[0]
    assert best_template(templates, "https://git.example.com/team-evil/x") is None
    assert best_template(templates, "git@git.example.com:team/a/x") is None


def test_a_template_that_ends_in_a_star_covers_any_continuation():
    assert template_covers("https://git.example.com/team*", "https://git.example.com/team-evil/x")
    assert template_covers("git@git.example.com:team/*", "ssh://git@git.example.com/team/x.git")
    assert not template_covers("https://git.example.com/team*", "https://git.example.com/tea")


def test_a_host_template_does_not_cover_a_longer_host():
    assert template_covers("https://git.example.com", "https://git.example.com/x")
    assert not template_covers("https://git.example.com", "https://git.example.com.evil.org/x")
    assert not template_covers("", "https://git.example.com/x")


def test_s33_an_ssh_address_and_an_https_one_have_one_webhook_key():
    assert webhook_key("git@GitHub.com:org/repo.git") == webhook_key("https://github.com/org/repo/")
    assert webhook_key("ssh://git@ssh.github.com:443/org/repo") == "github.com/org/repo"
    assert webhook_key("https://github.com") == webhook_key("") == ""


def test_texts_show_neither_userinfo_nor_query():
    assert shown("https://bob:SENTINEL@h/x?private_token=SENTINEL") == "https://h/x"
    assert shown("https://h/x\ny") == "https://h/x?y"


@given(st.text(max_size=80))
def test_every_text_has_a_normal_form_and_parsing_ends_in_a_url_or_a_refusal(text):
    assert normalise_url(normalise_url(text)) is not None
    webhook_key(text)
    try:
        parsed = parse_url(text, allow_http=True, allow_file=True)
    except SourceError as error:
        assert error.code == "InvalidURL"
    else:
        assert not parsed.url.startswith("-")


@given(
    st.sampled_from(["https://", "ssh://", "ssh://git@", "git@"]),
    st.text(alphabet="ab.-@:/[]$%2e\n", min_size=1, max_size=20),
)
def test_no_accepted_address_holds_a_parent_segment_or_an_option(scheme, rest):
    try:
        parsed = parse_url(scheme + rest)
    except SourceError:
        return
    assert not parsed.host.startswith("-")
    assert ".." not in parsed.path.split("/")
