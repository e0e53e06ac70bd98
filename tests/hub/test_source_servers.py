"""The Git gate against real servers: HTTPS with an own CA, and SSH (sources.md 2.4, 2.6; security C1, C2, E9)."""

from __future__ import annotations

import base64
import os
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from hub import source as gate
from hub.core.sources import RepositoryAccess
from hub.errors import SourceError
from hub.source import Wanted, listing, obtain, poll, session
from hub.source import mirror as mirrors
from hub.source.failures import known_fingerprints
from tests.gitserver import SSHD, Fault, certificates, commit, https_server, make_repo, ssh_server

SECRET = "SENTINEL-pass word%$1"


@pytest.fixture(autouse=True)
def _no_reader_is_left():
    yield
    gate.close_all()


@pytest.fixture
def repo(tmp_path):
    found = make_repo(tmp_path / "served")
    commit(found, {"web/a.yaml": "kind: A"})
    return found


@pytest.fixture
def https(repo):
    with https_server(repo.parent) as server:
        yield server


@pytest.fixture
def calls(monkeypatch):
    """Every command line and environment that is handed to Git."""
    seen = []
    for module in (listing, mirrors):

        def spy(argv, real=module.run, **options):
            seen.append((list(argv), dict(options["env"])))
            return real(argv, **options)

        monkeypatch.setattr(module, "run", spy)
    return seen


def refused(code, work):
    with pytest.raises(SourceError) as caught:
        work()
    assert caught.value.code == code, caught.value
    assert "SENTINEL" not in f"{caught.value} {caught.value.hint}"
    return caught.value


def read(access, root):
    found = obtain(access, [Wanted("main")], root=root)
    return found.mirror.tree(found.resolutions[0].sha).read("web/a.yaml", 100)


# HTTPS


def test_a_repository_is_listed_and_fetched_over_https(https, repo, tmp_path):
    assert read(https.access(repo), tmp_path / "m") == b"kind: A"
    assert {headers.get("Git-Protocol") for _, _, headers in https.seen} == {"version=2"}


def test_a_password_is_used_and_appears_nowhere(https, repo, tmp_path, calls):
    https.require(username="alice", password=SECRET)
    assert read(https.access(repo, username="alice", password=SECRET), tmp_path / "m") == b"kind: A"
    assert calls
    assert "SENTINEL" not in str(calls)
    assert not list((tmp_path / "m").rglob("password"))


def test_c1_what_git_traces_holds_no_secret(https, repo, monkeypatch):
    traces = []
    real = listing.failure
    monkeypatch.setattr(listing, "failure", lambda *args: traces.append(args[3]) or real(*args))
    https.require(username="alice", password="other")
    encoded = base64.b64encode(f"alice:{SECRET}".encode()).decode()
    for secret in ({"username": "alice", "password": SECRET}, {"bearer_token": "SENTINEL-token"}):
        refused("AuthenticationFailed", lambda secret=secret: poll(https.access(repo, **secret)))
    assert len(traces) == 2
    for trace in traces:
        assert "HTTP/1.1 401" in trace
        assert "SENTINEL" not in trace
        assert encoded not in trace
    assert any(headers.get("Authorization") == f"Basic {encoded}" for _, _, headers in https.seen)


def test_a_bearer_token_is_used_and_never_an_argument(https, repo, tmp_path, calls):
    https.require(bearer="SENTINEL-token")
    assert read(https.access(repo, bearer_token="SENTINEL-token"), tmp_path / "m") == b"kind: A"
    assert "SENTINEL" not in str([argv for argv, _ in calls])
    folder = mirrors.mirror_folder(tmp_path / "m", https.access(repo))
    assert "SENTINEL" not in (folder / "config").read_text()


def test_s20_a_refused_password_is_told_without_it(https, repo):
    https.require(username="alice", password="other")
    error = refused(
        "AuthenticationFailed",
        lambda: poll(
            https.access(repo, username="alice", password=SECRET, credential="template git.example.com/team")
        ),
    )
    assert error.message.endswith('refused the credential "template git.example.com/team" (401)')


def test_a_repository_that_asks_for_a_credential_says_so(https, repo):
    https.require(username="alice", password="x")
    assert (
        "asks for a credential" in refused("AuthenticationFailed", lambda: poll(https.access(repo))).message
    )


def test_s19_h10_a_server_that_limits_is_obeyed(https, repo):
    https.fault = Fault(429, {"Retry-After": "120"})
    error = refused("RateLimited", lambda: poll(https.access(repo)))
    assert error.retry_after == 120
    assert error.retry_at is not None
    assert "asks to wait until" in error.message
    https.fault = Fault(403, {"X-RateLimit-Remaining": "0", "Retry-After": "7"})
    assert refused("RateLimited", lambda: poll(https.access(repo))).retry_after == 7
    https.fault = Fault(503)
    assert refused("RateLimited", lambda: poll(https.access(repo))).retry_after is None


ANSWERS = [(500, "RepositoryUnavailable"), (404, "RepositoryUnavailable"), (403, "AuthenticationFailed")]


@pytest.mark.parametrize(("status", "code"), ANSWERS)
def test_other_answers_have_their_codes(https, repo, status, code):
    https.fault = Fault(status)
    refused(code, lambda: poll(https.access(repo, username="a", password=SECRET)))


def test_e9_a_redirect_is_an_error_that_names_the_target_and_is_not_followed(https, repo):
    https.fault = Fault(302, {"Location": "https://u:SENTINEL@169.254.169.254/x?token=SENTINEL"})
    error = refused("RepositoryUnavailable", lambda: poll(https.access(repo)))
    assert "redirects to https://169.254.169.254/x" in error.message
    assert len(https.seen) == 1


def test_a_certificate_nobody_vouches_for_is_refused(https, repo):
    assert (
        "certificate" in refused("RepositoryUnavailable", lambda: poll(https.access(repo, tls_ca=""))).message
    )
    refused("RepositoryUnavailable", lambda: poll(https.access(repo, tls_ca="", insecure=True)))
    assert poll(https.access(repo, tls_ca="", insecure=True, allow_insecure=True)).refs


def test_a_server_that_is_gone_is_unavailable_and_may_come_back(https, repo):
    https.shutdown()
    https.socket.close()
    error = refused("RepositoryUnavailable", lambda: poll(https.access(repo)))
    assert error.message.endswith("connection refused")
    assert not error.permanent


def test_s23_e9_the_connection_goes_to_the_address_that_was_judged(https, repo, monkeypatch):
    """The name means something else a moment later; the pinned address is used all the same."""
    real = session.check_url
    access = https.access(
        repo, url=https.url(repo).replace("localhost", "git.test.invalid"), insecure=True, allow_insecure=True
    )

    def judged_once(url, **rules):
        found = real(url.replace("git.test.invalid", "localhost"), **rules)
        return type(found)("git.test.invalid", found.port, ("127.0.0.1",))

    monkeypatch.setattr(session, "check_url", judged_once)
    assert poll(access).refs


def test_s23_a_host_that_resolves_to_loopback_is_refused(https, repo):
    error = refused("RepositoryUnavailable", lambda: poll(https.access(repo, allow_loopback=False)))
    assert "loopback" in error.message
    assert https.seen == []


def test_e9_the_proxy_is_judged_too_and_noproxy_counts(https, repo):
    proxied = https.access(repo, proxy_url="http://bob:SENTINEL@169.254.169.254:3128")
    assert "metadata" in refused("RepositoryUnavailable", lambda: poll(proxied)).message
    free = https.access(repo, proxy_url="http://169.254.169.254:3128", no_proxy="example.com, localhost")
    assert poll(free).refs
    dead = https.access(repo, proxy_url="http://bob:SENTINEL@127.0.0.1:9")
    refused("RepositoryUnavailable", lambda: poll(dead))
    assert https.seen[-1][1].startswith("/")


def test_nothing_private_is_left_after_a_call(https, repo, tmp_path, monkeypatch):
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(session, "_memory", lambda: memory)
    https.require(username="alice", password="x")
    with pytest.raises(SourceError):
        poll(https.access(repo, username="alice", password=SECRET, tls_ca=certificates()[0]))
    assert list(memory.iterdir()) == []


def test_no_program_lies_where_temporary_files_do(https, repo, tmp_path, monkeypatch):
    """Containers mount these places without the right to start programs: a password must reach Git all the same."""
    places = [tmp_path / "memory", tmp_path / "temporary"]
    for place in places:
        place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(places[1]))
    monkeypatch.setattr(session, "MEMORY", places[0])
    with session.session(https.access(repo, username="alice", password="pw")) as call:
        files = [file for place in places for file in place.rglob("*") if file.is_file()]
        assert files
        assert not [file for file in files if file.stat().st_mode & 0o111]
        program = Path(call.environment["GIT_ASKPASS"])
        assert os.access(program, os.X_OK)
        asked = subprocess.run(
            [program, "Password for x"], env=call.environment, capture_output=True, text=True, check=True
        )
        assert asked.stdout == "pw\n"


def test_secrets_lie_in_files_that_only_we_can_read(https, repo):
    access = https.access(
        repo, username="alice", password=SECRET, tls_client_certificate="c", tls_client_key="k"
    )
    with session.session(access) as call:
        folder = call.trace.parent
        assert folder.stat().st_mode & 0o777 == 0o700
        files = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir() if path.is_file()}
        assert files == dict.fromkeys(("ca.pem", "client.pem", "client.key", "username", "password"), 384)
        assert "SENTINEL" not in str((call.environment, call.options))
    assert not folder.exists()


def test_a_credential_with_a_line_break_is_refused(https, repo):
    refused("AuthenticationFailed", lambda: poll(https.access(repo, username="a", password="SENTINEL\nx")))


def test_twenty_callers_share_six_places(https, repo):
    errors = []

    def one():
        try:
            poll(https.access(repo))
        except SourceError as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert len(https.seen) >= 12


# SSH


needs_sshd = pytest.mark.skipif(not SSHD, reason="sshd is not installed: apt-get install openssh-server")


@pytest.fixture
def ssh(tmp_path):
    with ssh_server(tmp_path / "ssh") as server:
        yield server


@needs_sshd
def test_a_repository_is_listed_and_fetched_over_ssh(ssh, repo, tmp_path):
    assert read(ssh.access(repo), tmp_path / "m") == b"kind: A"


@needs_sshd
def test_the_key_is_never_an_argument_and_ssh_reads_no_foreign_configuration(ssh, repo, tmp_path, calls):
    read(ssh.access(repo), tmp_path / "m")
    secret = ssh.client_key.splitlines()[1]
    assert secret not in str(calls)
    command = next(env["GIT_SSH_COMMAND"] for _, env in calls if "GIT_SSH_COMMAND" in env)
    for option in (
        "-F none",
        "StrictHostKeyChecking=yes",
        "IdentityAgent=none",
        "ProxyCommand=none",
        "BatchMode=yes",
    ):
        assert option in command


@needs_sshd
def test_an_unknown_host_key_is_refused_with_the_fingerprint_it_offers(ssh, repo):
    error = refused("HostKeyUnknown", lambda: poll(ssh.access(repo, known_hosts="")))
    assert ssh.host_key_fingerprint in error.message


@needs_sshd
def test_a_changed_host_key_is_refused_with_both_fingerprints(ssh, repo, tmp_path):
    with ssh_server(tmp_path / "other") as other:
        stranger = other.known_hosts.split(" ", 1)[1]
    error = refused(
        "HostKeyMismatch", lambda: poll(ssh.access(repo, known_hosts=f"[127.0.0.1]:{ssh.port} {stranger}"))
    )
    assert ssh.host_key_fingerprint in error.message
    assert other.host_key_fingerprint in error.message


@needs_sshd
def test_a_key_that_is_not_let_in_is_refused(ssh, repo, tmp_path):
    with ssh_server(tmp_path / "other") as other:
        wrong = other.client_key
    refused("AuthenticationFailed", lambda: poll(ssh.access(repo, ssh_private_key=wrong)))
    refused("AuthenticationFailed", lambda: poll(ssh.access(repo, ssh_private_key="")))


@needs_sshd
def test_host_key_checks_are_skipped_only_with_the_admins_switch(ssh, repo):
    refused("HostKeyUnknown", lambda: poll(ssh.access(repo, known_hosts="", insecure=True)))
    assert poll(ssh.access(repo, known_hosts="", insecure=True, allow_insecure=True)).refs


@needs_sshd
def test_a_repository_that_does_not_exist_over_ssh(ssh, repo):
    access = ssh.access(repo, url=ssh.url(repo) + "-gone")
    assert "does not exist" in refused("RepositoryUnavailable", lambda: poll(access)).message


def test_a_proxy_for_ssh_is_not_supported_yet():
    access = RepositoryAccess("x", "git@127.0.0.1:a/b", proxy_url="http://127.0.0.1:1", allow_loopback=True)
    assert "not supported yet" in refused("RepositoryUnavailable", lambda: poll(access)).message


def test_known_hosts_are_read_plain_hashed_and_with_ports():
    key = "AAAAC3NzaC1lZDI1NTE5AAAAIJ8ZUtqNBDkNIB+vWJEP9qx7yA4Kdl5n8d9Z0v6j0l8E"
    text = f"# comment\nother ssh-ed25519 {key}\n[git.example.com]:7999,x ssh-ed25519 {key}\n@revoked * ssh-ed25519 {key}\nbad\n"
    assert len(known_fingerprints(text, "git.example.com", 7999)) == 1
    assert known_fingerprints(text, "git.example.com", 22) == []
    assert known_fingerprints("|1|%%%|x ssh-ed25519 AAAA\nh ssh-ed25519 %%%\n", "h", 22) == []
