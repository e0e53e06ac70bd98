"""Local receivers: an HTTP server that answers as told, an SMTP server that keeps mail."""

from __future__ import annotations

import socketserver
import ssl
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Got:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def certificate(folder: Path, host: str) -> ssl.SSLContext:
    """A server's context with a certificate that nobody signed, for that name."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "pem").write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pem")
    return context


class HttpReceiver:
    """`answers` are used up in turn: None cuts the connection, a number is a status, a tuple adds headers and body."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Got] = []
        self.scheme = "https" if tls is not None else "http"
        self.answers: list[Any] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> HttpReceiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def answer(self, got: Got) -> Any:
        return self.answers.pop(0) if self.answers else 200

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                return

            def _take(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                got = Got(self.command, self.path, headers, body)
                receiver.requests.append(got)
                answer = receiver.answer(got)
                if answer is None:
                    return
                status, more, data = answer if isinstance(answer, tuple) else (answer, {}, b"")
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _take

        return Handler


class SmtpReceiver:
    """Enough of SMTP for one conversation at a time. `replies` overrides the answer to a verb; None hangs up."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, bytes]] = []
        self.replies: dict[str, str | None] = {}
        self.verbs: list[str] = []
        receiver = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                receiver.talk(self)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self) -> SmtpReceiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def talk(self, handler: socketserver.StreamRequestHandler) -> None:
        def say(text: str) -> None:
            handler.wfile.write(text.encode() + b"\r\n")

        to = ""
        say("220 test")
        while line := handler.rfile.readline():
            verb = line.decode().strip().upper()
            self.verbs.append(verb.split(" ")[0])
            key = next((name for name in self.replies if verb.startswith(name)), "")
            if key and key != "END":
                if self.replies[key] is None:
                    return None
                say(str(self.replies[key]))
                continue
            if verb.startswith("RCPT"):
                to = line.decode().strip().partition(":")[2].strip("<> ").partition(">")[0]
            if verb == "QUIT":
                return say("221 bye")
            if verb != "DATA":
                say("250 ok")
                continue
            say("354 go on")
            data = b""
            while not data.endswith(b"\r\n.\r\n"):
                data += handler.rfile.readline()
            self.mails.append((to, data[:-5]))
            if "END" in self.replies:
                if self.replies["END"] is None:
                    return None
                say(str(self.replies["END"]))
            else:
                say("250 taken")
        return None
