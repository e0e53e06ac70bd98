"""Kubeconfigs: what is read, and what is refused by name before anything could run or be read."""

from __future__ import annotations

import base64
import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from clusters.core import kubeconfig
from clusters.core.kubeconfig import Access
from clusters.errors import KubeconfigRefused

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SENTINEL = "sentinel-value"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def certificate(*, ca: bool, days: int = 30, begins: int = -1) -> tuple[str, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW + timedelta(days=begins))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode(), key


def pem_of(key: ec.EllipticCurvePrivateKey, password: bytes = b"") -> str:
    locked = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked).decode()


CA, _ = certificate(ca=True)
CLIENT, CLIENT_KEY = certificate(ca=False)


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


def refused(text: str, **options: Any) -> KubeconfigRefused:
    with pytest.raises(KubeconfigRefused) as told:
        kubeconfig.read(text, now=NOW, **options)
    assert told.value.permanent
    assert SENTINEL not in f"{told.value} {told.value.hint}"
    return told.value


def test_a_token_kubeconfig_becomes_a_connection() -> None:
    found = kubeconfig.read(config(), now=NOW)
    assert (found.context, found.contexts, found.kind, found.namespace) == (
        "dev",
        ("dev", "prod"),
        "token",
        "shop",
    )
    connection = kubeconfig.connection_of(found, identity="1", name="dev", generation=3)
    assert connection.server == "https://k8s.example.org:6443"
    assert connection.token == SENTINEL
    assert connection.ca_pem == CA
    assert (connection.identity, connection.generation) == ("1", 3)
    assert SENTINEL not in repr(found) + repr(connection)


def test_w35_a_named_context_is_taken() -> None:
    assert kubeconfig.contexts_of(config()) == ("dev", "prod")
    assert kubeconfig.read(config(), now=NOW, context="prod").token == "prod-token"


def test_w34_an_exec_plugin_is_refused_by_name_and_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object, **options: object) -> None:
        raise AssertionError("something was started or read")

    monkeypatch.setattr(subprocess, "Popen", never)
    monkeypatch.setattr("builtins.open", never)
    told = refused(config({"exec": {"command": "touch", "args": [SENTINEL]}}))
    assert told.code == "kubeconfig_exec_refused"
    assert "exec" in told.message
    assert told.hint


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
        ({"insecure-skip-tls-verify": True}, "kubeconfig_insecure_refused"),
        ({"insecure-skip-tls-verify": "yes"}, "kubeconfig_invalid"),
        ({"proxy-url": "http://evil.example.org:3128"}, "kubeconfig_proxy_refused"),
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
        ({"certificate-authority-data": encoded("no certificate")}, "certificate_invalid"),
        ({"certificate-authority-data": encoded(CLIENT)}, "certificate_invalid"),
        ({"certificate-authority-data": encoded(certificate(ca=True, days=0)[0])}, None),
        (
            {"certificate-authority-data": encoded(certificate(ca=True, days=-1, begins=-2)[0])},
            "certificate_invalid",
        ),
    ],
)
def test_b8_what_a_cluster_entry_may_not_hold(cluster: Any, code: str | None) -> None:
    if code is None:
        assert kubeconfig.read(config(cluster=cluster), now=NOW).ca_pem
    else:
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


def test_other_contexts_are_not_judged() -> None:
    users = [{"name": "u", "user": {"token": "t"}}, {"name": "prod-user", "user": {"exec": {"command": "x"}}}]
    assert kubeconfig.read(config(users=users), now=NOW).token == "t"
    assert refused(config(users=users), context="prod").code == "kubeconfig_exec_refused"


def test_cl6_cl7_proxy_and_tls_off_need_permission() -> None:
    text = config(cluster={"proxy-url": "http://proxy.example.org:3128", "insecure-skip-tls-verify": True})
    found = kubeconfig.read(text, now=NOW, access=Access(insecure=True, proxy_hosts={"proxy.example.org"}))
    assert found.proxy_url == "http://proxy.example.org:3128"
    assert found.insecure_skip_tls_verify
    with_secret = config(cluster={"proxy-url": f"http://u:{SENTINEL}@proxy.example.org"})
    assert (
        refused(with_secret, access=Access(proxy_hosts={"proxy.example.org"})).code
        == "kubeconfig_proxy_refused"
    )


def test_a_client_certificate_is_read_with_its_expiry() -> None:
    user = {"client-certificate-data": encoded(CLIENT), "client-key-data": encoded(pem_of(CLIENT_KEY))}
    found = kubeconfig.read(config(user), now=NOW)
    assert (found.kind, found.expires_at) == ("client certificate", NOW + timedelta(days=30))


@pytest.mark.parametrize(
    ("pem", "key", "why"),
    [
        (CLIENT, pem_of(ec.generate_private_key(ec.SECP256R1())), "does not belong"),
        (CLIENT, pem_of(CLIENT_KEY, b"secret"), "encrypted"),
        (CLIENT, "no key", "not a private key"),
        ("no certificate", pem_of(CLIENT_KEY), "not a certificate"),
    ],
)
def test_cl3_a_pair_that_does_not_fit_is_refused(pem: str, key: str, why: str) -> None:
    told = refused(config({"client-certificate-data": encoded(pem), "client-key-data": encoded(key)}))
    assert told.code == "certificate_invalid"
    assert why in told.message


@pytest.mark.parametrize(("days", "begins", "why"), [(-1, -2, "expired"), (9, 2, "not valid yet")])
def test_cl3_dates_count(days: int, begins: int, why: str) -> None:
    pem, key = certificate(ca=False, days=days, begins=begins)
    user = {"client-certificate-data": encoded(pem), "client-key-data": encoded(pem_of(key))}
    assert why in refused(config(user)).message


def jwt(**claims: Any) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


def test_the_expiry_of_a_token_is_shown_when_it_says_one() -> None:
    found = kubeconfig.read(config({"token": jwt(exp=int(NOW.timestamp()) + 60)}), now=NOW)
    assert found.expires_at == NOW + timedelta(seconds=60)
    assert refused(config({"token": jwt(exp=1)})).code == "kubeconfig_credential_expired"
    for odd in (jwt(exp="soon"), jwt(exp=10**30), jwt(), "a.b.c"):
        assert kubeconfig.read(config({"token": odd}), now=NOW).expires_at is None


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
    with pytest.raises(KubeconfigRefused):
        kubeconfig.read(text, now=NOW)
