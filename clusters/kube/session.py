"""One HTTP session per cluster: its connections, its slots, its circuit breaker, its small repeats.

A cluster that is slow, dead or throttled uses up its own slots and time-outs and nobody else's (the bulkhead of
performance.md 3.9). Everything here runs on the loop of `clusters.kube.loop`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
from yarl import URL

import clusters.errors as errors
import clusters.kube.metrics as metrics
from clusters.core.connection import Connection
from clusters.errors import ClusterError
from clusters.kube.answers import Answer, error_of
from clusters.kube.breaker import Breaker
from clusters.kube.dialling import CheckedResolver, Token, ca_stamp, check_server, tls_context
from clusters.kube.tuning import tuning

JSON = "application/json"


class Session:
    """The transport of one cluster and one generation of its credentials."""

    def __init__(self, connection: Connection) -> None:
        check_server(connection)
        numbers = tuning()
        self.connection = connection
        self.ca_stamp = ca_stamp(connection)
        self.breaker = Breaker(numbers.clock)
        self.last_answer: float | None = None
        self.clock_offset: float | None = None
        self._slots = asyncio.Semaphore(max(1, connection.max_in_flight))
        self._base = connection.server.rstrip("/")
        self._host = urlsplit(connection.server).hostname or ""
        self._token = Token(connection)
        self._options: dict[str, Any] = {"allow_redirects": False}
        if connection.tls_server_name:
            self._options["server_hostname"] = connection.tls_server_name
        if connection.proxy_url:
            self._options["proxy"] = connection.proxy_url
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                ssl=tls_context(connection) if connection.server.startswith("https") else True,
                resolver=CheckedResolver(connection),
                keepalive_timeout=75,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "gitops-hub", "Accept": JSON},
            timeout=aiohttp.ClientTimeout(total=numbers.request, sock_connect=numbers.connect),
            read_bufsize=2**18,
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        verb: str,
        body: Any = None,
        content_type: str = JSON,
        accept: str = "",
        user: str = "",
        repeats: int | None = None,
        timeout: float | None = None,
        headers: dict[str, str] | None = None,
        lost_reply_repeats: bool = True,
    ) -> Answer:
        """One request with its repeats; the answer is below 300 or 304, everything else is raised as ClusterError.

        `body` is a value that becomes JSON. 429 and 5xx are repeated by Retry-After, connections that broke are
        repeated unless `lost_reply_repeats` is off (a POST might be done twice). A time-out is never repeated here.
        """
        data = None if body is None else orjson.dumps(body)
        sent_headers = self._headers(content_type if data is not None else "", accept, user, headers)
        attempt = 0
        while True:
            try:
                answer = await self._once(method, path, verb, data, sent_headers, timeout)
                if answer.status < 300 or answer.status == 304:
                    return answer
                error = error_of(answer, body)
            except errors.Unavailable as lost:
                error = lost
            wait = self._wait(error, attempt, repeats, lost_reply_repeats)
            if wait is None:
                raise error
            attempt += 1
            await tuning().sleep(wait)

    def _wait(self, error: ClusterError, attempt: int, repeats: int | None, lost_reply: bool) -> float | None:
        """Seconds to wait before the request is repeated, None when the error is to be told."""
        numbers = tuning()
        if attempt >= (numbers.repeats if repeats is None else repeats):
            return None
        if not isinstance(error, errors.Throttled | errors.Unavailable) or error.permanent:
            return None
        if isinstance(error, errors.TimedOut | errors.CircuitOpen) or (error.status == 0 and not lost_reply):
            return None
        backoff: float = numbers.first_wait * 2**attempt * (0.5 + numbers.jitter())
        wait = backoff if error.retry_after is None else error.retry_after
        return wait if wait <= numbers.longest_wait else None

    def _headers(
        self, content_type: str, accept: str, user: str, more: dict[str, str] | None
    ) -> dict[str, str]:
        headers = dict(more) if more else {}
        if token := self._token.current():
            headers["Authorization"] = f"Bearer {token}"
        if content_type:
            headers["Content-Type"] = content_type
        if accept:
            headers["Accept"] = accept
        if user:
            headers["Impersonate-User"] = user
        return headers

    async def _once(
        self,
        method: str,
        path: str,
        verb: str,
        data: bytes | None,
        headers: dict[str, str],
        timeout: float | None,
    ) -> Answer:
        self._check_circuit(self.breaker.wait())
        options = self._options
        if timeout is not None:
            options = {**options, "timeout": aiohttp.ClientTimeout(total=timeout, sock_connect=timeout)}
        async with self._slots:
            self._check_circuit(self.breaker.enter())
            began = self.breaker.now()
            try:
                async with self._http.request(
                    method, URL(self._base + path, encoded=True), data=data, headers=headers, **options
                ) as response:
                    answer = Answer(response.status, response.headers, await response.read())
            except (aiohttp.ClientError, OSError, TimeoutError) as problem:
                raise self._lost(verb, problem, began) from None
            except BaseException:
                self.breaker.abandon()
                raise
        self._heard(verb, answer, began)
        return answer

    def _check_circuit(self, left: float) -> None:
        if left > 0:
            raise errors.CircuitOpen(
                f"{self._host} failed several times in a row and is asked again in {left:.0f} s",
                retry_after=left,
            )

    def _lost(self, verb: str, problem: BaseException, began: float) -> ClusterError:
        """No answer: counted, told to the breaker, turned into one of our errors."""
        self.breaker.failure(began)
        error = self._transport_error(problem)
        metrics.count(self.connection.identity, verb, error.code)
        return error

    def _heard(self, verb: str, answer: Answer, began: float) -> None:
        metrics.count(self.connection.identity, verb, str(answer.status))
        if answer.speaks_kubernetes:
            self.breaker.success()
            self.last_answer = time.monotonic()
        else:
            self.breaker.failure(began)

    def heard(self) -> None:
        """A line of a watch came: the cluster lives."""
        self.last_answer = time.monotonic()

    def _transport_error(self, problem: BaseException) -> ClusterError:
        if isinstance(problem, TimeoutError):
            return errors.TimedOut(f"{self._host} did not answer in time")
        if isinstance(problem, aiohttp.ClientConnectorCertificateError | aiohttp.ServerFingerprintMismatch):
            return errors.CertificateInvalid(
                f"the certificate of {self._host} is not accepted: {problem.certificate_error}"
                if isinstance(problem, aiohttp.ClientConnectorCertificateError)
                else f"the certificate of {self._host} is not accepted",
                hint="give the CA of the cluster, or its tls-server-name",
            )
        if isinstance(problem, aiohttp.ClientConnectorError):
            return errors.Unavailable(f"cannot connect to {self._host}: {problem.strerror or 'no route'}")
        return errors.Unavailable(f"the connection to {self._host} broke ({type(problem).__name__})")

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, *, verb: str, accept: str = "", user: str = "", silence: float | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A long answer read in chunks (a watch, a log). It takes no slot and is not repeated; silence ends it:
        that of a watch unless `silence` (seconds) is given.

        Raises ClusterError when the server refuses; TimedOut and Unavailable while the caller reads.
        """
        numbers = tuning()
        self._check_circuit(self.breaker.enter())
        quiet = aiohttp.ClientTimeout(
            total=None,
            sock_connect=numbers.connect,
            sock_read=numbers.watch_silence if silence is None else silence,
        )
        headers = self._headers("", accept, user, None)
        url = URL(self._base + path, encoded=True)
        began = self.breaker.now()
        options = {**self._options, "timeout": quiet}
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(numbers.request):
                    request = self._http.request("GET", url, headers=headers, **options)
                    response = await stack.enter_async_context(request)
                    body = b"" if response.status == 200 else await response.read()
                answer = Answer(response.status, response.headers, body)
                self._heard(verb, answer, began)
                if answer.status != 200:
                    raise error_of(answer)
                yield response
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            raise self._lost(verb, problem, began) from None
        except asyncio.CancelledError:
            self.breaker.abandon()
            raise

    async def close(self) -> None:
        await self._http.close()

    async def retire(self) -> None:
        """Close once the requests under way had time to end; at once when the gate is shut down."""
        try:
            await asyncio.sleep(tuning().request)
        finally:
            await self.close()
