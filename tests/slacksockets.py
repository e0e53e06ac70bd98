"""Slack's side of Socket Mode on loopback: hands out addresses, sends envelopes, keeps what is acknowledged."""

from __future__ import annotations

import asyncio
import itertools
import json
import queue
import threading
from typing import Any

from aiohttp import WSMsgType, web


class SlackSockets:
    """`url` is what `apps.connections.open` answers. Use as a context manager."""

    def __init__(self) -> None:
        self.acknowledged: queue.Queue[dict[str, Any]] = queue.Queue()
        self.connections = 0
        self.url = ""
        self._open: list[web.WebSocketResponse] = []
        self._numbers = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        self._ready, self._came = threading.Event(), threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> SlackSockets:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def connected(self, count: int = 1) -> bool:
        """Wait until so many connections were made."""
        with self._came:
            return self._came.wait_for(lambda: self.connections >= count, 20)

    def send(self, payload: dict[str, Any], envelope: str = "", kind: str = "interactive") -> dict[str, Any]:
        """One envelope on the newest connection; what comes back as its acknowledgement."""
        envelope = envelope or f"e-{next(self._numbers)}"
        text = {"envelope_id": envelope, "type": kind, "payload": payload, "accepts_response_payload": True}
        self._say(text)
        answer = self.acknowledged.get(timeout=20)
        assert answer["envelope_id"] == envelope
        return answer

    def refresh(self) -> None:
        """Slack asks the client to make a new connection."""
        self._say({"type": "disconnect", "reason": "refresh_requested"})

    def _say(self, message: dict[str, Any]) -> None:
        asyncio.run_coroutine_threadsafe(self._open[-1].send_str(json.dumps(message)), self._loop).result(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_get("/link", self._connected)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        _, port = self._runner.addresses[0]
        self.url = f"ws://127.0.0.1:{port}/link"

    async def _connected(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._open.append(socket)
        await socket.send_str(json.dumps({"type": "hello", "num_connections": 1}))
        with self._came:
            self.connections += 1
            self._came.notify_all()
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                self.acknowledged.put(json.loads(message.data))
        return socket
