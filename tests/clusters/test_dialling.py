"""How connections are made: certificates from texts, judged addresses, mounted credentials, forked processes."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from clusters import errors, kube
from clusters.kube import dialling
from clusters.kube.tuning import Tuning
from tests.clusters.faults import FaultServer, Reply, status


@dataclass
class Issued:
    pem: str
    key_pem: str
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def issue(name: str, by: Issued | None = None) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.1"))])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    if by is not None:
        builder = builder.add_extension(names, critical=False)
    made = builder.sign(by.key if by else key, hashes.SHA256())
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Issued(made.public_bytes(Encoding.PEM).decode(), key_pem, made, key)


@pytest.fixture(scope="module")
def authority() -> Issued:
    return issue("test authority")


@pytest.fixture
def secure(authority: Issued, tmp_path: Path) -> Iterator[FaultServer]:
    """A TLS server that asks for a client certificate of the same authority, and takes none as well."""
    own = issue("k8s.example.org", authority)
    files = [tmp_path / "cert.pem", tmp_path / "key.pem"]
    files[0].write_text(own.pem)
    files[1].write_text(own.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    context.load_verify_locations(cadata=authority.pem)
    context.verify_mode = ssl.CERT_OPTIONAL
    server = FaultServer(context)
    yield server
    kube.shutdown()
    server.close()


def test_a_server_of_the_given_ca_is_trusted(secure: FaultServer, authority: Issued) -> None:
    assert kube.discovery(secure.connection(ca_pem=authority.pem)).kinds
    name = secure.connection("named", ca_pem=authority.pem, tls_server_name="k8s.example.org")
    assert kube.discovery(name).kinds


@pytest.mark.parametrize(
    "options",
    [{"ca_pem": ""}, {"ca_pem": "other"}, {"ca_pem": "own", "tls_server_name": "elsewhere.example.org"}],
)
def test_h6_a_certificate_that_is_not_vouched_for_is_refused(
    secure: FaultServer, authority: Issued, options: dict[str, str]
) -> None:
    pems = {"": "", "other": issue("another authority").pem, "own": authority.pem}
    options = {**options, "ca_pem": pems[options["ca_pem"]]}
    with pytest.raises(errors.CertificateInvalid) as told:
        kube.discovery(secure.connection(**options))
    assert told.value.permanent
    assert secure.seen == []


def test_cl7_verification_can_be_off(secure: FaultServer) -> None:
    assert kube.discovery(secure.connection(insecure_skip_tls_verify=True)).kinds


def test_a_client_certificate_is_shown_and_never_stays_on_disk(
    secure: FaultServer, authority: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = issue("hub", authority)
    shown: list[Any] = []
    original = secure._handle

    async def noting(request: Any) -> Any:
        shown.append(request.transport.get_extra_info("peercert"))
        return await original(request)

    secure._handle = noting  # type: ignore[method-assign]
    monkeypatch.setattr(dialling.tempfile, "NamedTemporaryFile", lambda: pytest.fail("written to disk"))
    connection = secure.connection(
        ca_pem=authority.pem, token="", client_certificate_pem=client.pem, client_key_pem=client.key_pem
    )
    context = dialling.tls_context(connection)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert kube.discovery(connection).kinds
    assert all("Authorization" not in one.headers for one in secure.seen)


@pytest.mark.parametrize(
    "options",
    [
        {"ca_pem": "no certificate"},
        {"client_certificate_pem": "no certificate", "client_key_pem": "no key"},
    ],
)
def test_texts_that_are_no_certificates_are_an_error_not_a_crash(
    secure: FaultServer, options: dict[str, str]
) -> None:
    with pytest.raises(errors.CertificateInvalid):
        kube.discovery(secure.connection(**options))


def test_e9_a_name_is_judged_by_what_it_resolves_to(server: FaultServer) -> None:
    forbidden = server.connection("a", server=f"https://localhost:{server.port}", allow_loopback=False)
    with pytest.raises(errors.AddressRefused):
        kube.discovery(forbidden)
    assert kube.discovery(server.connection("b", server=f"http://localhost:{server.port}")).kinds


def test_a_name_that_does_not_resolve_is_unavailable_not_refused(
    server: FaultServer, tune: Callable[..., Tuning]
) -> None:
    tune(first_wait=0.01)
    with pytest.raises(errors.Unavailable) as told:
        kube.discovery(server.connection(server="https://nowhere.invalid"))
    assert not told.value.permanent


def test_e9_redirects_are_not_followed(server: FaultServer, tune: Callable[..., Tuning]) -> None:
    tune(first_wait=0.01)
    away = Reply(307, "", headers={"Location": f"http://127.0.0.1:{server.port}/stolen"})
    server.script("GET", "/api", away, away)
    with pytest.raises(errors.Unavailable):
        kube.discovery(server.connection())
    assert server.count("GET", "/stolen") == 0


def test_proxies_of_other_kinds_are_not_supported_yet(server: FaultServer) -> None:
    with pytest.raises(errors.AddressRefused, match="not supported yet"):
        kube.discovery(server.connection(proxy_url="socks5://proxy.example.org:1080"))


def test_cl6_a_mounted_token_is_read_again_when_its_file_changed(
    server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialling, "MOUNTED", tmp_path)
    (tmp_path / "token").write_text("first\n")
    connection = server.connection(in_cluster=True, token="")
    kube.discovery(connection, fresh=True)
    (tmp_path / "token").write_text("second\n")
    os.utime(tmp_path / "token", ns=(1, 1))
    kube.discovery(connection, fresh=True)
    tokens = [one.headers["Authorization"] for one in server.seen if one.path == "/api"]
    assert tokens == ["Bearer first", "Bearer second"]


def test_cl6_a_mount_that_is_not_there_is_an_error_of_ours(
    server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialling, "MOUNTED", tmp_path / "nothing")
    with pytest.raises(errors.ClusterError):
        kube.discovery(server.connection(in_cluster=True, token=""))


def test_a_forked_child_makes_a_loop_and_sessions_of_its_own(server: FaultServer) -> None:
    connection = server.connection()
    kube.discovery(connection)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            found = kube.discovery(connection)
            os.write(write, str(len(found.kinds)).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    _, result = os.waitpid(child, 0)
    answer = os.read(read, 100)
    os.close(read)
    assert os.waitstatus_to_exitcode(result) == 0
    assert int(answer) == len(kube.discovery(connection).kinds)


def test_an_expired_token_is_told_and_the_next_generation_works(server: FaultServer) -> None:
    server.script("GET", "/api", Reply(401, status(401, "Unauthorized", "Unauthorized")))
    with pytest.raises(errors.Unauthorized):
        kube.discovery(server.connection())
    assert kube.discovery(server.connection(generation=2, token="fresh")).kinds
