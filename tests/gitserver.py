"""Real Git repositories for tests: made with `git fast-import`, served over file://, HTTPS and SSH.

    repo = make_repo(tmp_path)
    sha = commit(repo, {"web/svc.yaml": "...", "gone.yaml": None, "link": Link("web/svc.yaml")})
    with https_server(tmp_path) as server:                       # or: ssh_server(tmp_path / "ssh")
        server.require(username="alice", password="pw")
        server.fault = Fault(429, {"Retry-After": "120"})

`file_access(repo)` and `server.access(repo)` make the RepositoryAccess the gate takes.
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import http.server
import ipaddress
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from hub.core.sources import RepositoryAccess

_ENV = {
    "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_NAME": "Alice",
    "GIT_COMMITTER_EMAIL": "alice@example.com",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
}
ALICE = "Alice <alice@example.com>"
BOB = "Bob <bob@example.com>"


@dataclass(frozen=True)
class Link:
    """A symbolic link with this text."""

    target: str


@dataclass(frozen=True)
class Submodule:
    """A gitlink to this commit."""

    sha: str


Content = str | bytes | Link | Submodule | None


def git(repo: Path, *arguments: str, input: bytes | None = None) -> str:
    """Run one Git command on a repository and return what it wrote."""
    done = subprocess.run(
        ["git", f"--git-dir={repo}", *arguments],
        input=input,
        env=_ENV,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    return done.stdout.decode("utf-8", "surrogateescape").strip()


def make_repo(tmp_path: Path, name: str = "app.git", *, object_format: str = "sha1") -> Path:
    """An empty bare repository whose HEAD is `main`; anybody may fetch any commit by id."""
    repo = tmp_path / name
    repo.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["git", "init", "-q", "--bare", "-b", "main", f"--object-format={object_format}", str(repo)],
        env=_ENV,
        check=True,
        timeout=60,
    )
    git(repo, "config", "http.receivepack", "true")
    return repo


def commit(
    repo: Path,
    files: Mapping[str, Content],
    *,
    branch: str = "main",
    message: str = "change",
    author: str = ALICE,
    committer: str = ALICE,
    parent: str | None = None,
    when: int = 1700000000,
) -> str:
    """Commit on a branch and return the id. None deletes a path. `parent=""` starts (or force-pushes) a new history."""
    ref = f"refs/heads/{branch}"
    if parent is None:
        known = git(repo, "for-each-ref", "--format=%(objectname)", ref)
        parent = known or ""
    parts = [
        f"reset {ref}\n\ncommit {ref}\nauthor {author} {when} +0000\ncommitter {committer} {when} +0000\n".encode(),
        _data(message.encode()),
        f"from {parent}\n".encode() if parent else b"",
        *(_change(path, content) for path, content in files.items()),
    ]
    git(repo, "fast-import", "--quiet", "--force", input=b"".join(parts) + b"\n")
    return git(repo, "rev-parse", ref)


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _change(path: str, content: Content) -> bytes:
    quoted = '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    match content:
        case None:
            return f"D {quoted}\n".encode()
        case Link():
            return f"M 120000 inline {quoted}\n".encode() + _data(content.target.encode())
        case Submodule():
            return f"M 160000 {content.sha} {quoted}\n".encode()
        case str():
            content = content.encode()
    return f"M 100644 inline {quoted}\n".encode() + _data(content)


def tag(repo: Path, name: str, sha: str, *, message: str = "") -> str:
    """A tag; with a message an annotated one. Returns the id of what the ref holds."""
    extra = ["-a", "-m", message] if message else []
    git(repo, "tag", "--force", *extra, name, sha)
    return git(repo, "rev-parse", f"refs/tags/{name}")


def delete_branch(repo: Path, name: str) -> None:
    git(repo, "update-ref", "-d", f"refs/heads/{name}")


def raw_object(repo: Path, kind: str, content: bytes) -> str:
    """Store an object that `git` itself would refuse to make."""
    return git(repo, "hash-object", "-t", kind, "-w", "--literally", "--stdin", input=content)


def raw_commit(repo: Path, tree: str, *, branch: str = "main", message: str = "raw") -> str:
    """A commit of a tree made by hand, put on a branch."""
    person = f"{ALICE} 1700000000 +0000"
    text = f"tree {tree}\nauthor {person}\ncommitter {person}\n\n{message}\n"
    sha = raw_object(repo, "commit", text.encode())
    git(repo, "update-ref", f"refs/heads/{branch}", sha)
    return sha


def file_access(repo: Path, **changes: Any) -> RepositoryAccess:
    """How the gate reaches a repository over file:// (demo and tests only)."""
    fields: dict[str, Any] = {
        "id": repo.stem,
        "url": f"file://{repo}",
        "allow_file": True,
        "allow_loopback": True,
    }
    return RepositoryAccess(**(fields | changes))


# HTTPS: `git http-backend` behind a small TLS server


class _Handler(http.server.BaseHTTPRequestHandler):
    """One request: judged by the server's rules, then handed to `git http-backend` as CGI."""

    protocol_version = "HTTP/1.1"
    server: HttpsServer

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._serve(body)

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline(), 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def _serve(self, body: bytes) -> None:
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        fault = self.server.fault
        if fault is not None:
            self._answer(fault.status, fault.headers, b"no")
        elif not self._allowed():
            self._answer(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
        else:
            self._backend(body)

    def _allowed(self) -> bool:
        given = self.headers.get("Authorization", "")
        return not self.server.accepted or given in self.server.accepted

    def _backend(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        env = _ENV | {
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=env, capture_output=True, check=False, timeout=60
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
        status = int(fields.pop("Status", "200").split()[0])
        self._answer(status, fields, content)

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Tests read `server.seen` instead."""


@dataclass(frozen=True)
class Fault:
    """What the server answers to everything while it is set."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


class HttpsServer(http.server.ThreadingHTTPServer):
    """Serves the repositories of one folder on a free port of 127.0.0.1, with a certificate of its own CA."""

    daemon_threads = True

    def __init__(self, folder: Path, ca_pem: str, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.ca_pem = ca_pem
        self.accepted: set[str] = set()
        self.fault: Fault | None = None
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self._context = context

    def finish_request(self, request: Any, client_address: Any) -> None:
        try:
            with self._context.wrap_socket(request, server_side=True) as secure:
                super().finish_request(secure, client_address)
        except OSError:
            return  # a client that does not trust us, or went away

    def url(self, repo: Path) -> str:
        return f"https://localhost:{self.server_address[1]}/{repo.name}"

    def access(self, repo: Path, **changes: Any) -> RepositoryAccess:
        fields: dict[str, Any] = {
            "id": repo.stem,
            "url": self.url(repo),
            "tls_ca": self.ca_pem,
            "allow_loopback": True,
        }
        return RepositoryAccess(**(fields | changes))

    def require(self, *, username: str = "", password: str = "", bearer: str = "") -> None:
        """From now on only this credential is let in."""
        if bearer:
            self.accepted.add(f"Bearer {bearer}")
        else:
            self.accepted.add("Basic " + base64.b64encode(f"{username}:{password}".encode()).decode())


@contextmanager
def https_server(folder: Path) -> Iterator[HttpsServer]:
    """Serve the repositories below `folder` over HTTPS until the block ends."""
    ca_pem, certificate, key = certificates()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as place:
        chain, private = Path(place) / "chain.pem", Path(place) / "key.pem"
        chain.write_text(certificate)
        private.write_text(key)
        context.load_cert_chain(chain, private)
    server = HttpsServer(folder, ca_pem, context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@cache
def certificates() -> tuple[str, str, str]:
    """(CA, certificate for localhost and 127.0.0.1, key), as PEM; made once per process."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("test CA", ca_key.public_key(), "test CA", ca_key, is_ca=True)
    leaf = _certificate("localhost", key.public_key(), "test CA", ca_key, is_ca=False)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return ca.public_bytes(pem).decode(), leaf.public_bytes(pem).decode(), private.decode()


def _certificate(
    name: str,
    public: ec.EllipticCurvePublicKey,
    issuer: str,
    signer: ec.EllipticCurvePrivateKey,
    *,
    is_ca: bool,
) -> x509.Certificate:
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(signer, hashes.SHA256())
    )


# SSH: a real sshd of the current user on a free port

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")


@dataclass
class SshServer:
    """A running sshd. `known_hosts` is what a Repository record would hold, `client_key` what it lets in."""

    port: int
    folder: Path
    client_key: str
    known_hosts: str
    host_key_fingerprint: str
    user: str
    log: Path

    def url(self, repo: Path) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}{repo}"

    def access(self, repo: Path, **changes: Any) -> RepositoryAccess:
        fields: dict[str, Any] = {
            "id": repo.stem,
            "url": self.url(repo),
            "ssh_private_key": self.client_key,
            "known_hosts": self.known_hosts,
            "allow_loopback": True,
        }
        return RepositoryAccess(**(fields | changes))


@contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """Run sshd until the block ends; it lets in one key and runs Git only."""
    assert SSHD, "sshd is not installed"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _ssh_key(folder / "host")
    client_key = _ssh_key(folder / "client")
    (folder / "authorized").write_text((folder / "client.pub").read_text())
    port = _free_port()
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "PidFile": folder / "pid",
        "AuthorizedKeysFile": folder / "authorized",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "AllowAgentForwarding": "no",
        "AllowTcpForwarding": "no",
        "LogLevel": "VERBOSE",
    }
    (folder / "config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd refuses to start without its folder
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(SSHD), "-D", "-e", "-f", str(folder / "config")], stdout=output, stderr=output
        )
    try:
        _wait_for_port(port, process, log)
        public = (folder / "host.pub").read_text().split()
        digest = hashlib.sha256(base64.b64decode(public[1])).digest()
        yield SshServer(
            port=port,
            folder=folder,
            client_key=client_key,
            known_hosts=f"[127.0.0.1]:{port} {public[0]} {public[1]}\n",
            host_key_fingerprint="SHA256:" + base64.b64encode(digest).decode().rstrip("="),
            user=getpass.getuser(),
            log=log,
        )
    finally:
        process.terminate()
        process.wait(10)


def _ssh_key(path: Path) -> str:
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    ).decode()
    public = (
        key.public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        .decode()
    )
    path.touch(mode=0o600)
    path.write_text(private)
    path.with_suffix(".pub").write_text(public + "\n")
    return private


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"sshd ended: {log.read_text()}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"sshd did not start: {log.read_text()}")
