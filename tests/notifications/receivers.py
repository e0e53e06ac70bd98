"""Local receivers: an HTTP server that answers as told, an SMTP server that keeps mail."""

from __future__ import annotations

import socketserver
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Got:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class HttpReceiver:
    """`answers` are used up in turn: None cuts the connection, a number is a status, a tuple adds headers and body."""

    def __init__(self) -> None:
        self.requests: list[Got] = []
        self.answers: list[Any] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

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
