"""Asking the child: one question is (program, object), its answer is remembered, a runaway is not asked twice."""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Literal

import orjson

from clusters.core.manifests import Manifest
from clusters.errors import ClusterError
from guard.child import MIB, ChildFailed, Limits, Worker

_CHILD = Path(__file__).with_name("child.py")
_STARTUP_S = 10.0  # the child times each evaluation itself; this is for one that does not even start
_LIMITS = Limits(
    cpu_s=None,
    address_space=1024 * MIB,
    file_size=0,
    open_files=64,
    processes=0,
    output_bytes=16 * MIB,
    grace_s=0,
)


class ExpressionFailed(ClusterError):
    """A program of a user that failed, ran too long, used too much memory, or cannot be run here."""

    code = "expression_failed"
    permanent = True


class Sandbox:
    """Runs programs of one language. Safe for threads; the child is started on first use.

    `seconds` and `memory` (bytes above what the idle child needs) bound one evaluation. A program that had to be
    killed is refused for `pause_s` without being run, so that one runaway cannot keep all others waiting.
    """

    def __init__(
        self,
        language: Literal["lua", "jq", "cel"],
        *,
        seconds: float = 1.0,
        memory: int = 64 * MIB,
        pause_s: float = 60.0,
        remembered: int = 4096,
    ) -> None:
        self._seconds = seconds
        self._pause_s = pause_s
        self._remembered = remembered
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, dict[str, Any]] = OrderedDict()
        self._killed: dict[bytes, tuple[float, str]] = {}
        argv = [sys.executable, "-I", "-B", "-X", "utf8", str(_CHILD), language, str(seconds), str(memory)]
        self._worker = Worker(argv, env={}, limits=_LIMITS, max_turns=5_000)

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self._worker.pid

    def close(self) -> None:
        self._worker.close()

    def ask(self, program: Any, obj: Manifest) -> Any:
        """What `program` says about `obj`. Raises ExpressionFailed."""
        try:
            code = orjson.dumps(program)
            body = orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)
        except TypeError as error:
            raise ExpressionFailed(f"the object cannot be handed over: {error}") from error
        key = (code, hashlib.sha256(body).digest())
        answer = self._known(key)
        if answer is None:
            answer = self._evaluate(code, body)
            self._remember(
                key, answer
            )  # not what a child could not say: it may have been the machine's fault
        if "error" in answer:
            raise ExpressionFailed(str(answer["error"])[:500])
        return answer.get("ok")

    def _evaluate(self, code: bytes, body: bytes) -> dict[str, Any]:
        until, why = self._killed.get(code, (0.0, ""))
        if time.monotonic() < until:
            raise ExpressionFailed(why)
        question = b'{"program":' + code + b',"object":' + body + b"}"
        try:
            with self._worker.turn(self._seconds + _STARTUP_S) as turn:
                answer: dict[str, Any] = orjson.loads(turn.ask(question))
                return answer
        except ChildFailed as failure:
            why = self._reason(failure)
            with self._lock:
                self._killed = {old: mark for old, mark in self._killed.items() if mark[0] > time.monotonic()}
                self._killed[code] = (time.monotonic() + self._pause_s, why)
            raise ExpressionFailed(why) from None

    def _reason(self, failure: ChildFailed) -> str:
        if failure.timed_out or "SIGALRM" in failure.reason:
            return f"it ran longer than {self._seconds:g} s and was killed"
        if failure.reason.startswith("the child ended"):
            return f"it was killed, perhaps because of its use of memory ({failure.reason})"
        return failure.reason

    def _known(self, key: Hashable) -> dict[str, Any] | None:
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
            return self._answers.get(key)

    def _remember(self, key: Hashable, answer: dict[str, Any]) -> None:
        with self._lock:
            self._answers[key] = answer
            while len(self._answers) > self._remembered:
                self._answers.popitem(last=False)
