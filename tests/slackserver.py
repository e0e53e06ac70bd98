"""A Slack for tests: an HTTP server on loopback that refuses what Slack refuses and records what it took.

It checks tokens, scopes, membership, the limits of messages (blocks, texts, attachments, metadata), and, when asked,
the pace of posts per channel. `fault(method, ...)` switches a failure on for the next calls: an error by name, a
status with headers, an answer that is lost before or after the call took effect, a slow answer.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

SCOPES = {
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "chat.postEphemeral": "chat:write",
    "conversations.list": "channels:read",
    "conversations.history": "channels:history",
    "conversations.replies": "channels:history",
    "users.info": "users:read",
    "bots.info": "users:read",
    "views.open": "",
    "apps.connections.open": "connections:write",
    "auth.test": "",
}
ALL_SCOPES = frozenset(scope for scope in SCOPES.values() if scope)
LIMITS = {
    "text": 40_000,
    "blocks": 50,
    "attachments": 100,
    "header": 150,
    "section": 3_000,
    "field": 2_000,
    "fields": 10,
}


@dataclass
class Fault:
    """What goes wrong at one call. `acts`: the call takes effect although its answer is not what it should be."""

    error: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    lost: bool = False
    acts: bool = False
    delay: float = 0.0
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class Call:
    method: str
    arguments: dict[str, Any]
    token: str
    answer: dict[str, Any] | None = None
    status: int = 200


class SlackServer:
    """`url` is the base of the Web API. Use as a context manager."""

    def __init__(self) -> None:
        self.tokens: dict[str, frozenset[str]] = {
            "xoxb-good-token-1": ALL_SCOPES - {"connections:write"},
            "xapp-good-token-1": frozenset(["connections:write"]),
        }
        # Where Socket Mode is served, when it is.
        self.socket_url = ""
        self.revoked: set[str] = set()
        self.channels: dict[str, dict[str, Any]] = {}
        self.users: dict[str, dict[str, Any]] = {
            "U1": {"id": "U1", "name": "alice", "team_id": "T1", "deleted": False}
        }
        self.views: list[dict[str, Any]] = []
        self.ephemeral: list[dict[str, Any]] = []
        self.calls: list[Call] = []
        self.clock: Callable[[], float] = time.time
        self.enforce_pace = False
        self._pace: dict[str, list[float]] = {}
        self._faults: dict[str, list[Fault]] = {}
        self._ts = 1_700_000_000.0
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        for name in ("a", "b", "ops", "deploys"):
            self.channel(name)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/api/"

    def __enter__(self) -> SlackServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    # -- what a person does

    def channel(self, name: str, **more: Any) -> str:
        identity = f"C{len(self.channels) + 1:08d}"
        self.channels[identity] = {
            "id": identity, "name": name, "member": True, "archived": False, "messages": [], **more,
        }  # fmt: skip
        return identity

    def find(self, channel: str) -> dict[str, Any] | None:
        name = channel.lstrip("#")
        return self.channels.get(channel) or next(
            (one for one in self.channels.values() if one["name"] == name), None
        )

    def messages(self, channel: str) -> list[dict[str, Any]]:
        found = self.find(channel)
        assert found is not None, channel
        return list(found["messages"])

    def roots(self, channel: str) -> list[dict[str, Any]]:
        return [message for message in self.messages(channel) if not message.get("thread_ts")]

    def replies(self, channel: str, ts: str) -> list[dict[str, Any]]:
        return [message for message in self.messages(channel) if message.get("thread_ts") == ts]

    def delete(self, channel: str, ts: str) -> None:
        found = self.find(channel)
        assert found is not None
        found["messages"] = [message for message in found["messages"] if message["ts"] != ts]

    def fault(self, method: str, times: int = 1, **fault: Any) -> None:
        with self._lock:
            self._faults.setdefault(method, []).extend(Fault(**fault) for _ in range(times))

    def made(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    # -- the API

    def answer(
        self, method: str, arguments: dict[str, Any], token: str
    ) -> tuple[int, dict[str, str], dict[str, Any] | None]:
        """Status, headers and body; None is a lost answer."""
        with self._lock:
            call = Call(method, arguments, token)
            self.calls.append(call)
            faults = self._faults.get(method) or []
            fault = faults.pop(0) if faults else None
        if fault is not None and fault.delay:
            time.sleep(fault.delay)
        with self._lock:
            if fault is not None and not fault.acts:
                body: dict[str, Any] = {"ok": False, "error": fault.error, **fault.extra}
                call.status, call.answer = fault.status, body
                return fault.status, fault.headers, None if fault.lost else body
            status, headers, body = self._refused(method, arguments, token) or self._acted(method, arguments)
            call.status, call.answer = status, body
            if fault is not None and fault.lost:
                return status, headers, None
            if fault is not None and fault.error:
                return fault.status, fault.headers, {"ok": False, "error": fault.error}
            return status, headers, body

    def _refused(
        self, method: str, arguments: dict[str, Any], token: str
    ) -> tuple[int, dict[str, str], dict[str, Any]] | None:
        if method not in SCOPES:
            return _no("unknown_method")
        if not token:
            return _no("not_authed")
        if token in self.revoked:
            return _no("token_revoked")
        scopes = self.tokens.get(token)
        if scopes is None:
            return _no("invalid_auth")
        needed = SCOPES[method]
        if needed and needed not in scopes:
            return (
                200,
                {},
                {
                    "ok": False,
                    "error": "missing_scope",
                    "needed": needed,
                    "provided": ",".join(sorted(scopes)),
                },
            )
        if "channel" in arguments or method.startswith(("chat.", "conversations.h", "conversations.r")):
            found = self.find(str(arguments.get("channel", "")))
            if found is None:
                return _no("channel_not_found")
            if found["archived"] and method.startswith("chat."):
                return _no("is_archived")
            if not found["member"]:
                return _no("not_in_channel")
        return self._too_fast(method, arguments)

    def _too_fast(
        self, method: str, arguments: dict[str, Any]
    ) -> tuple[int, dict[str, str], dict[str, Any]] | None:
        """About one post per second and channel, short bursts allowed: seven in any four seconds."""
        if not self.enforce_pace or method != "chat.postMessage":
            return None
        now = self.clock()
        recent = [at for at in self._pace.get(arguments["channel"], []) if now - at < 4]
        if len(recent) >= 7:
            return 429, {"Retry-After": "1"}, {"ok": False, "error": "ratelimited"}
        self._pace[arguments["channel"]] = [*recent, now]
        return None

    def _acted(self, method: str, arguments: dict[str, Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
        name = "_" + method.replace(".", "_").lower()
        body: dict[str, Any] = getattr(self, name)(arguments)
        return 200, {}, body

    def _chat_postmessage(self, arguments: dict[str, Any]) -> dict[str, Any]:
        wrong = _wrong(arguments)
        if wrong:
            return {"ok": False, "error": wrong}
        found = self.find(arguments["channel"])
        assert found is not None
        thread = arguments.get("thread_ts")
        if thread and not any(message["ts"] == thread for message in found["messages"]):
            return {"ok": False, "error": "thread_not_found"}
        self._ts += 0.0001
        message = {
            **arguments,
            "ts": f"{self._ts:.6f}",
            "at": self.clock(),
            "channel": found["id"],
            "edits": 0,
        }
        found["messages"].append(message)
        return {
            "ok": True,
            "channel": found["id"],
            "ts": message["ts"],
            "message": {"text": arguments.get("text")},
        }

    def _chat_update(self, arguments: dict[str, Any]) -> dict[str, Any]:
        wrong = _wrong(arguments)
        if wrong:
            return {"ok": False, "error": wrong}
        found = self.channels.get(arguments["channel"])
        if found is None:
            # An update takes the id only, never the name.
            return {"ok": False, "error": "channel_not_found"}
        for message in found["messages"]:
            if message["ts"] == arguments.get("ts"):
                message.update(
                    {key: value for key, value in arguments.items() if key != "ts"},
                    edits=message["edits"] + 1,
                )
                return {
                    "ok": True,
                    "channel": found["id"],
                    "ts": message["ts"],
                    "text": arguments.get("text"),
                }
        return {"ok": False, "error": "message_not_found"}

    def _chat_postephemeral(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if arguments.get("user") not in self.users:
            return {"ok": False, "error": "user_not_in_channel"}
        self.ephemeral.append(arguments)
        return {"ok": True, "message_ts": f"{self._ts:.6f}"}

    def _views_open(self, arguments: dict[str, Any]) -> dict[str, Any]:
        view = arguments.get("view") or {}
        if not arguments.get("trigger_id"):
            return {"ok": False, "error": "invalid_trigger_id"}
        if len(view.get("private_metadata", "")) > 3000 or len(view.get("title", {}).get("text", "")) > 24:
            return {"ok": False, "error": "invalid_arguments"}
        self.views.append(arguments)
        return {"ok": True, "view": {"id": f"V{len(self.views)}", **view}}

    def _apps_connections_open(self, _: dict[str, Any]) -> dict[str, Any]:
        return (
            {"ok": True, "url": self.socket_url} if self.socket_url else {"ok": False, "error": "fatal_error"}
        )

    def _users_info(self, arguments: dict[str, Any]) -> dict[str, Any]:
        user = self.users.get(str(arguments.get("user")))
        member = {"deleted": False, "is_bot": False, "is_restricted": False, "is_ultra_restricted": False}
        return {"ok": True, "user": {**member, **user}} if user else {"ok": False, "error": "user_not_found"}

    def _bots_info(self, arguments: dict[str, Any]) -> dict[str, Any]:
        known = arguments.get("bot") == "B1"
        return (
            {"ok": True, "bot": {"id": "B1", "app_id": "A1"}}
            if known
            else {"ok": False, "error": "bot_not_found"}
        )

    def _auth_test(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True, "team_id": "T1", "team": "Test", "user_id": "UBOT", "bot_id": "B1"}

    def _conversations_list(self, _: dict[str, Any]) -> dict[str, Any]:
        rows = [
            {"id": one["id"], "name": one["name"]} for one in self.channels.values() if not one["archived"]
        ]
        return {"ok": True, "channels": rows, "response_metadata": {"next_cursor": ""}}

    def _conversations_history(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return self._page(arguments, self.roots(arguments["channel"]))

    def _conversations_replies(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return self._page(arguments, self.replies(arguments["channel"], str(arguments.get("ts"))))

    def _page(self, arguments: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
        full = str(arguments.get("include_all_metadata", "")).lower() in ("1", "true")
        oldest = float(arguments.get("oldest") or 0)
        made = [
            {
                "ts": row["ts"],
                "text": row.get("text"),
                **({"metadata": row["metadata"]} if full and "metadata" in row else {}),
            }
            for row in rows
            if row["at"] >= oldest
        ]
        return {"ok": True, "messages": made[-int(arguments.get("limit") or 100) :], "has_more": False}


def _no(error: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    return 200, {}, {"ok": False, "error": error}


def _wrong(message: dict[str, Any]) -> str:
    """The first limit of Slack's reference that this message breaks."""
    blocks, attachments = message.get("blocks") or [], message.get("attachments") or []
    if not message.get("text") and not blocks and not attachments:
        return "no_text"
    if len(message.get("text") or "") > LIMITS["text"]:
        return "msg_too_long"
    if len(attachments) > LIMITS["attachments"]:
        return "too_many_attachments"
    if not isinstance(blocks, list) or not isinstance(attachments, list):
        return "invalid_blocks_format"
    metadata = message.get("metadata")
    if metadata is not None and (
        not metadata.get("event_type") or not isinstance(metadata.get("event_payload"), dict)
    ):
        return "invalid_metadata_format"
    for several in (blocks, *(one.get("blocks") or [] for one in attachments)):
        if len(several) > LIMITS["blocks"] or any(_bad_block(block) for block in several):
            return "invalid_blocks" if several is blocks else "invalid_attachments"
    return ""


def _bad_block(block: dict[str, Any]) -> bool:
    kind, text = block.get("type"), (block.get("text") or {}).get("text", "")
    if kind == "header":
        return not 1 <= len(text) <= LIMITS["header"] or block["text"]["type"] != "plain_text"
    if kind == "section":
        fields = block.get("fields") or []
        bad_fields = len(fields) > LIMITS["fields"] or any(
            not 1 <= len(one["text"]) <= LIMITS["field"] for one in fields
        )
        return (not text and not fields) or len(text) > LIMITS["section"] or bad_fields
    if kind == "context":
        return not 1 <= len(block.get("elements") or []) <= 10
    if kind == "actions":
        elements = block.get("elements") or []
        return not 1 <= len(elements) <= 25 or any(_bad_button(one) for one in elements)
    return kind not in ("divider", "image", "rich_text")


def _bad_button(button: dict[str, Any]) -> bool:
    return (
        not 1 <= len(button["text"]["text"]) <= 75
        or len(button.get("value") or "") > 2000
        or len(button.get("url") or "") > 3000
        or len(button.get("action_id") or "") > 255
    )


def _handler(slack: SlackServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            return

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            method = self.path.removeprefix("/api/").split("?")[0]
            if "json" in (self.headers.get("Content-Type") or ""):
                arguments = json.loads(body or b"{}")
            else:
                arguments = {key: values[0] for key, values in parse_qs(body.decode()).items()}
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            status, headers, answer = slack.answer(method, arguments, token)
            self.close_connection = True
            if answer is None:
                return
            data = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data)

    return Handler
