"""Kubeconfigs: what is read, and what is refused by name before anything could run or be read."""

from __future__ import annotations

import base64
import subprocess
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clusters.core import kubeconfig
from clusters.errors import KubeconfigRefused

SENTINEL = "sentinel-value"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


CA = "-----BEGIN CERTIFICATE-----\nY2E=\n-----END CERTIFICATE-----\n"
CLIENT = CA.replace("Y2E=", "Y2xpZW50")
CLIENT_KEY = "-----BEGIN PRIVATE KEY-----\nc2VudGluZWw=\n-----END PRIVATE KEY-----\n"


def config(user: Any = None, cluster: Any = None, **more: Any) -> str:
    server = {"server": "https://k8s.example.org:6443/", "certificate-authority-data": encoded(CA)}
    value = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "dev",
        "clusters": [{"name": "c", "cluster": {**server, **(cluster or {})}}],
        "users": [
            {"name": "u", "user": {"token": SENTINEL} if user is None else user},
            {"name": "prod-user", "user": {"token": "prod-token"}},
        ],
        "contexts": [
            {"name": "dev", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
            {"name": "prod", "context": {"cluster": "c", "user": "prod-user"}},
        ],
        "preferences": {},
        **more,
    }
    return yaml.safe_dump(value)


def refused(text: str, context: str = "") -> KubeconfigRefused:
    with pytest.raises(KubeconfigRefused) as told:
        kubeconfig.read(text, context)
    assert told.value.permanent
    assert SENTINEL not in f"{told.value} {told.value.hint}"
    return told.value


def test_a_context_becomes_the_columns_of_a_cluster() -> None:
    assert kubeconfig.read(config()) == {
        "server": "https://k8s.example.org:6443",
        "ca_pem": CA,
        "token": SENTINEL,
    }


def test_a_context_becomes_a_connection_that_shows_no_secret() -> None:
    connection = kubeconfig.connection(config(), identity="1", name="dev", generation=3)
    assert (connection.identity, connection.generation, connection.token) == ("1", 3, SENTINEL)
    assert SENTINEL not in repr(kubeconfig.read_context(config())) + repr(connection)


def test_w35_a_named_context_is_taken() -> None:
    assert kubeconfig.read(config(), "prod")["token"] == "prod-token"
    assert kubeconfig.preview(config()) == {
        "current_context": "dev",
        "contexts": [
            {
                "name": "dev",
                "server": "https://k8s.example.org:6443",
                "namespace": "shop",
                "credential_kind": "token",
            },
            {
                "name": "prod",
                "server": "https://k8s.example.org:6443",
                "namespace": "",
                "credential_kind": "token",
            },
        ],
    }


def test_w34_an_exec_plugin_is_refused_by_name_and_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object, **options: object) -> None:
        raise AssertionError("something was started or read")

    monkeypatch.setattr(subprocess, "Popen", never)
    monkeypatch.setattr("builtins.open", never)
    told = refused(config({"exec": {"command": "touch", "args": [SENTINEL]}}))
    assert told.code == "kubeconfig_exec_refused"
    assert "exec" in told.message
    assert told.hint
    with pytest.raises(KubeconfigRefused) as previewed:
        kubeconfig.preview(config({"exec": {"command": "touch"}}))
    assert previewed.value.code == "kubeconfig_exec_refused"


@pytest.mark.parametrize(
    ("user", "code"),
    [
        ({"exec": {}}, "kubeconfig_exec_refused"),
        ({"token": "x", "exec": None}, "kubeconfig_exec_refused"),
        ({"auth-provider": {"config": {"cmd-path": "/bin/sh"}}}, "kubeconfig_auth_provider_refused"),
        ({"tokenFile": "/etc/passwd"}, "kubeconfig_path_refused"),
        ({"client-certificate": "/a", "client-key": "/b"}, "kubeconfig_path_refused"),
        ({"token": "x", "client-key": "/b"}, "kubeconfig_path_refused"),
        ({"username": "a", "password": SENTINEL}, "kubeconfig_password_refused"),
        ({"token": "x", "as": "system:admin"}, "kubeconfig_impersonation_refused"),
        ({"token": "x", "as-groups": ["system:masters"]}, "kubeconfig_impersonation_refused"),
        ({"token": "x", "surprise": SENTINEL}, "kubeconfig_unknown_field"),
        ({}, "kubeconfig_credential_missing"),
        ({"token": ["x"]}, "kubeconfig_invalid"),
        ({"token": f"{SENTINEL}\r\nX-Injected: 1"}, "kubeconfig_invalid"),
        ({"client-certificate-data": encoded(CLIENT)}, "kubeconfig_invalid"),
        ({"client-certificate-data": "%%%", "client-key-data": "%%%"}, "kubeconfig_invalid"),
        (["x"], "kubeconfig_invalid"),
    ],
)
def test_b8_what_a_user_entry_may_not_hold(user: Any, code: str) -> None:
    assert refused(config(user)).code == code


@pytest.mark.parametrize(
    ("cluster", "code"),
    [
        ({"certificate-authority": "/etc/ssl/ca.pem"}, "kubeconfig_path_refused"),
        ({"insecure-skip-tls-verify": "yes"}, "kubeconfig_invalid"),
        ({"proxy-url": f"http://u:{SENTINEL}@proxy.example.org:3128"}, "kubeconfig_proxy_refused"),
        ({"proxy-url": "socks5://proxy.example.org"}, "kubeconfig_proxy_refused"),
        ({"tls-server-name": "a b"}, "kubeconfig_invalid"),
        ({"server": "http://k8s.example.org"}, "server_invalid"),
        ({"server": "https://user:pw@k8s.example.org"}, "server_invalid"),
        ({"server": "https://k8s.example.org/?a=b"}, "server_invalid"),
        ({"server": "https://k8s.example.org/#x"}, "server_invalid"),
        ({"server": "https://"}, "server_invalid"),
        ({"server": "https://k8s.example.org:99999"}, "server_invalid"),
        ({"server": "https://k8s.example.org/a/../b"}, "server_invalid"),
        ({"server": "file:///etc/passwd"}, "server_invalid"),
        ({"server": "https://k8s.example.org\n"}, "server_invalid"),
        ({"certificate-authority-data": "%%%"}, "kubeconfig_invalid"),
    ],
)
def test_b8_what_a_cluster_entry_may_not_hold(cluster: Any, code: str) -> None:
    assert refused(config(cluster=cluster)).code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "kubeconfig_invalid"),
        ("[]", "kubeconfig_invalid"),
        ("", "kubeconfig_invalid"),
        ("kind: Pod", "kubeconfig_invalid"),
        ("a: &a [*a]", "kubeconfig_invalid"),
        ("[" * 5000, "kubeconfig_invalid"),
        ("kind: Config\n---\nkind: Config", "kubeconfig_invalid"),
        (f"kind: Config\nx: {'a' * 300_000}", "kubeconfig_too_large"),
        ("kind: Config\nhooks: {}", "kubeconfig_unknown_field"),
        ("kind: Config", "kubeconfig_context_missing"),
        (config(**{"current-context": "nope"}), "kubeconfig_context_missing"),
        (config(users=[]), "kubeconfig_invalid"),
        (config(clusters=[{"cluster": {}}]), "kubeconfig_invalid"),
        (config(contexts=[{"name": "dev", "context": {"cluster": "c", "user": "u", "as": "x"}}]), None),
    ],
)
def test_b8_texts_that_are_no_kubeconfig(text: str, code: str | None) -> None:
    assert refused(text).code == (code or "kubeconfig_impersonation_refused")


def test_other_contexts_are_not_judged_and_a_preview_says_what_is_wrong_with_them() -> None:
    users = [{"name": "u", "user": {"token": "t"}}, {"name": "prod-user", "user": {"exec": {"command": "x"}}}]
    assert kubeconfig.read(config(users=users))["token"] == "t"
    assert refused(config(users=users), "prod").code == "kubeconfig_exec_refused"
    dev, prod = kubeconfig.preview(config(users=users))["contexts"]
    assert "error" not in dev
    assert (prod["name"], prod["error"]) == ("prod", "kubeconfig_exec_refused")


def test_cl6_cl7_proxy_and_unverified_tls_are_read_for_the_caller_to_judge() -> None:
    text = config(cluster={"proxy-url": "http://proxy.example.org:3128", "insecure-skip-tls-verify": True})
    found = kubeconfig.read(text)
    assert found["proxy_url"] == "http://proxy.example.org:3128"
    assert found["insecure_skip_tls_verify"] is True


def test_plain_http_passes_for_loopback_only() -> None:
    assert (
        kubeconfig.read(config(cluster={"server": "http://127.0.0.1:8001"}))["server"]
        == "http://127.0.0.1:8001"
    )


def test_a_client_certificate_is_read_with_its_key() -> None:
    user = {"client-certificate-data": encoded(CLIENT), "client-key-data": encoded(CLIENT_KEY)}
    found = kubeconfig.read(config(user))
    assert (found["client_certificate_pem"], found["client_key_pem"]) == (CLIENT, CLIENT_KEY)
    assert "token" not in found
    assert kubeconfig.read_context(config(user)).kind == "client certificate"


@given(
    st.text(max_size=200)
    | st.recursive(
        st.none() | st.text(max_size=5) | st.integers(),
        lambda c: (
            st.lists(c, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["kind", "clusters", "users", "contexts", "current-context", "name", "user", "x"]
                ),
                c,
                max_size=4,
            )
        ),
    ).map(yaml.safe_dump)
)
def test_d8_any_text_is_read_or_refused(text: str) -> None:
    for reader in (kubeconfig.read, kubeconfig.preview):
        with pytest.raises(KubeconfigRefused):
            reader(text)
