"""Answers that take their time: watches, and bodies that trickle."""

from __future__ import annotations

import asyncio

from aiohttp import web

import clusters.sandbox.reads as reads
from clusters.sandbox.answers import ApiError
from clusters.sandbox.calls import Call

JSON = "application/json"
BOOKMARK_EVERY = 60.0
LAST_BOOKMARK = 2.0


async def watch(call: Call) -> web.StreamResponse:
    """Stream the events of a watch until its time is over, the client goes or a fault cuts it."""
    query, b = call.query, call.backend
    woken = asyncio.Event()
    response = web.StreamResponse(headers={"Content-Type": JSON})
    try:
        if b.faults.active and b.faults.take("expire", call.asked()) is not None:
            raise ApiError(
                410, f"too old resource version: {query.get('resourceVersion')} ({b.store.version})"
            )
        watcher = reads.open_watch(b, call.served, call.namespace, query, woken.set, partly=call.partial)
    except ApiError as error:
        if error.code not in (410, 504):
            raise
        await response.prepare(call.request)
        await response.write(reads.error_line(error))
        await response.write_eof()
        return response
    try:
        await response.prepare(call.request)
        await _stream(call, response, watcher, woken)
    except (ConnectionError, asyncio.CancelledError):
        return response
    finally:
        watcher.table.watchers.discard(watcher)
    return response


async def _stream(
    call: Call, response: web.StreamResponse, watcher: reads.Watcher, woken: asyncio.Event
) -> None:
    query, clock = call.query, asyncio.get_running_loop().time
    seconds = float(query.get("timeoutSeconds") or 1800)
    end = clock() + seconds
    cut = call.backend.faults.take("cut_watch", call.asked()) if call.backend.faults.active else None
    cut_at = clock() + cut.seconds if cut is not None else end + 1
    bookmarks = query.get("allowWatchBookmarks") in ("1", "true")
    next_mark = min(clock() + BOOKMARK_EVERY, end - LAST_BOOKMARK) if bookmarks else end + 1
    while not call.backend.closed:
        lines = b"".join(watcher.drain())
        if lines:
            await response.write(lines)
        now = clock()
        if now >= end or now >= cut_at:
            break
        if now >= next_mark:
            await response.write(watcher.bookmark(call.backend.store.version))
            next_mark = now + BOOKMARK_EVERY if now + BOOKMARK_EVERY < end - LAST_BOOKMARK else end + 1
            if now < end - LAST_BOOKMARK:
                next_mark = min(now + BOOKMARK_EVERY, end - LAST_BOOKMARK)
        woken.clear()
        if watcher.pending:
            continue
        try:
            await asyncio.wait_for(woken.wait(), max(0.0, min(end, cut_at, next_mark) - clock()))
        except TimeoutError:
            continue
    if clock() >= cut_at or call.backend.closed:
        await response.write(b'{"type":"MODIF')
        if call.request.transport is not None:
            call.request.transport.abort()
        return
    await response.write_eof()


async def trickled(request: web.BaseRequest, response: web.Response, seconds: float) -> web.StreamResponse:
    body = response.body if isinstance(response.body, bytes) else b""
    slow = web.StreamResponse(status=response.status, headers={"Content-Type": JSON})
    await slow.prepare(request)
    size = max(1, len(body) // 20)
    for start in range(0, len(body), size):
        await slow.write(body[start : start + size])
        await asyncio.sleep(seconds)
    await slow.write_eof()
    return slow
