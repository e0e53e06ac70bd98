"""Webhooks (sources.md 7; security E3-E6): recognise, prove, read."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.sources import RefTable
from hub.core.webhooks import read_webhook, recognised_name, token_digest, unseen_commits
from hub.core.webhooks.providers import BY_NAME
from hub.errors import HubError

ROWS = json.loads((Path(__file__).parents[2] / "data" / "sources" / "webhooks.json").read_text())
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECRET = "user:a secret of the sender"
TOKEN = "t" * 40
JSON = {"Content-Type": "application/json; charset=utf-8"}
BY_ADDRESS = ("harbor", "docker-hub", "quay", "acr", "ecr", "generic")


def signed(provider, body, secret=SECRET):
    """The headers that prove a body, and the secret as the hub keeps it."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    proofs = {
        "azure-devops": {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()},
        "gitea": {"X-Gitea-Signature": digest},
        "gitlab": {"X-Gitlab-Token": secret},
        "bitbucket-cloud": {"X-Hub-Signature": f"sha256={digest}"},
        "bitbucket-server": {"X-Hub-Signature": f"sha256={digest}"},
        "harbor": {"Authorization": secret},
    }
    return proofs.get(provider, {"X-Hub-Signature-256": f"sha256={digest}"})


def kept(provider, secret=SECRET):
    return token_digest(TOKEN) if provider in ("docker-hub", "quay", "acr", "ecr") else secret


def send(row, *, secrets=None, body=None, headers=None, method="POST", token=TOKEN, provider=None, now=NOW):
    raw = json.dumps(row["body"]).encode() if body is None else body
    sent = {**JSON, **row["headers"], **signed(row["provider"], raw), **(headers or {})}
    named = row["provider"] if row["provider"] in BY_ADDRESS else ""
    return read_webhook(
        named if provider is None else provider,
        method,
        sent,
        raw,
        secrets=[kept(row["provider"])] if secrets is None else secrets,
        now=now,
        token=token,
    )


def refused(status, work):
    with pytest.raises(HubError) as caught:
        work()
    assert caught.value.status == status
    return caught.value


GITHUB = next(row for row in ROWS if row["provider"] == "github")
GITEA = next(row for row in ROWS if row["provider"] == "gitea")
GITLAB = next(row for row in ROWS if row["provider"] == "gitlab")


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: f"{row['provider']}-{row['expected'].get('delivery_id', 'digest')}"
)
def test_a_delivery_is_read_as_the_table_says(row):
    hint = send(row)
    assert hint.provider == row["provider"]
    found = {
        "useful": hint.useful,
        "keys": sorted(hint.keys),
        "refs": list(hint.refs),
        "commits": list(hint.commits),
    }
    expected = dict(row["expected"])
    assert hint.delivery_id == expected.pop(
        "delivery_id", hashlib.sha256(json.dumps(row["body"]).encode()).hexdigest()
    )
    assert found == expected


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row["provider"] not in BY_ADDRESS], ids=lambda row: row["provider"]
)
def test_the_sender_is_recognised_by_its_headers(row):
    assert recognised_name(row["headers"]) == row["provider"]


def test_every_provider_has_a_delivery_in_the_table():
    assert {row["provider"] for row in ROWS} == set(BY_NAME)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["provider"])
def test_s31_e5_a_wrong_proof_is_401_before_the_body_is_parsed(row):
    changed = {name: "x" + value for name, value in signed(row["provider"], b"").items()}
    refused(401, lambda: send(row, body=b"not json", headers=changed, token="x" * 40))
    refused(401, lambda: send(row, body=b"not json", headers=dict.fromkeys(changed, ""), token=""))
    refused(
        401,
        lambda: send(row, body=b"not json", headers=dict.fromkeys(changed, "ü\udcff"), token="ü\udcff" * 40),
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["provider"])
def test_s31_e5_without_a_secret_the_webhook_is_off(row):
    refused(404, lambda: send(row, secrets=[]))
    refused(401, lambda: send(row, secrets=[""]))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["provider"])
@pytest.mark.parametrize(
    "body", [b"[]", b"null", b"1", b'"x"', b"", b"{", b"[" * 10_000, b'{"a":' * 10_000, b"\xff"]
)
def test_s31_e4_bodies_of_wrong_shape_are_400(row, body):
    refused(400, lambda: send(row, body=body, headers=signed(row["provider"], body)))


def test_s31_a_body_deeper_than_32_levels_is_400():
    deep = json.loads("[" * 31 + "]" * 31)
    assert send(GITHUB, body=json.dumps({**GITHUB["body"], "x": deep}).encode()).useful
    refused(400, lambda: send(GITHUB, body=json.dumps({**GITHUB["body"], "x": [deep, [deep]]}).encode()))


def test_s31_e3_a_large_body_is_413_by_its_told_length_or_its_bytes():
    refused(413, lambda: send(GITHUB, headers={"Content-Length": "53477376"}))
    refused(413, lambda: send(GITHUB, headers={"Content-Length": "9" * 40}))
    refused(413, lambda: send(GITHUB, headers={"Content-Length": "x"}))
    refused(413, lambda: send(GITHUB, body=b" " * 1_048_577))


def test_other_methods_and_content_types_are_refused():
    refused(405, lambda: send(GITHUB, method="GET"))
    refused(415, lambda: send(GITHUB, headers={"Content-Type": "application/x-www-form-urlencoded"}))
    refused(415, lambda: send(GITHUB, headers={"Content-Type": "text/plain"}))


def test_an_unknown_sender_is_404():
    refused(404, lambda: send(GITHUB, provider="nobody"))
    refused(404, lambda: read_webhook("", "POST", JSON, b"{}", secrets=[SECRET], now=NOW))


def test_s32_a_gitea_push_with_github_headers_is_gitea_and_its_signature_has_no_prefix():
    assert send(GITEA).provider == "gitea"
    body = json.dumps(GITEA["body"]).encode()
    prefixed = "sha256=" + signed("gitea", body)["X-Gitea-Signature"]
    refused(401, lambda: send(GITEA, headers={"X-Gitea-Signature": prefixed}))
    github_only = {"X-Gitea-Signature": "", **signed("github", body)}
    refused(401, lambda: send(GITEA, headers=github_only))


def test_s33_an_ssh_address_in_the_payload_matches_a_repository_stored_as_https():
    hint = send(next(row for row in ROWS if row["provider"] == "generic"))
    assert hint.concerns("https://git.example.com/Team/App.git")
    assert not hint.concerns("https://git.example.com/team/other")


def test_up_to_three_secrets_rotate_and_the_one_that_fits_is_told():
    assert send(GITHUB, secrets=["old", "older", SECRET]).proven_by == 2


def test_gitlab_signatures_hold_for_five_minutes():
    body = json.dumps(GITLAB["body"]).encode()
    key = base64.b64encode(b"k" * 32).decode()

    def at(moment, secret="whsec_" + key, raw=b"k" * 32):
        stamp = str(int(moment.timestamp()))
        mac = hmac.new(raw, b"id-1." + stamp.encode() + b"." + body, hashlib.sha256).digest()
        proof = {
            "webhook-id": "id-1",
            "webhook-timestamp": stamp,
            "webhook-signature": "v1,AAAA v1," + base64.b64encode(mac).decode(),
        }
        return send(GITLAB, headers=proof, secrets=[secret])

    assert at(NOW).delivery_id == "l-1"
    assert at(NOW - timedelta(minutes=4), secret="plain", raw=b"plain").useful
    refused(401, lambda: at(NOW - timedelta(minutes=6)))
    refused(401, lambda: at(NOW + timedelta(minutes=6)))
    refused(401, lambda: at(NOW, raw=b"x" * 32))
    refused(401, lambda: send(GITLAB, headers={"webhook-signature": "v1,x", "webhook-timestamp": "-1"}))


def test_the_uuid_of_a_bitbucket_hook_proves_only_when_opted_in():
    row = next(row for row in ROWS if row["provider"] == "bitbucket-cloud")
    uuid = {**row, "headers": {**row["headers"], "X-Hook-UUID": "{1234-5678}"}}
    assert send(uuid, secrets=["uuid:{1234-5678}"], headers={"X-Hub-Signature": ""}).useful
    refused(401, lambda: send(uuid, secrets=["uuid:{other-uuid}"]))
    refused(401, lambda: send(uuid, secrets=["{1234-5678}"], headers={"X-Hub-Signature": ""}))


def test_tokens_of_addresses_have_32_characters():
    with pytest.raises(ValueError):
        token_digest("short")
    row = next(row for row in ROWS if row["provider"] == "quay")
    refused(401, lambda: send(row, token="short"))


def test_a_push_without_a_repository_is_malformed():
    refused(400, lambda: send(GITHUB, body=b'{"ref": "refs/heads/main"}'))


def test_replica_lag_is_seen():
    hint = send(GITHUB)
    assert unseen_commits(hint, RefTable({"refs/heads/main": "9" * 40}))
    assert not unseen_commits(hint, RefTable({"refs/heads/main": "1" * 40}))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["repository", "ref", "push", "changes", "project", "links", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(sorted(BY_NAME)), _json)
def test_e4_no_body_of_any_shape_crashes(provider, data):
    row = next(row for row in ROWS if row["provider"] == provider)
    body = json.dumps(data).encode()
    try:
        send(row, body=body)
    except HubError as error:
        assert 400 <= error.status < 500
