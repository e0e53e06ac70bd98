"""The child that evaluates: one language per process, frames on stdin and stdout, a timer that kills it.

Run as a file by `clusters.evaluators.sandbox`, never imported by the hub: it imports nothing of ours. A frame is 4
bytes of length (big endian) and JSON. Question: `{"program": ..., "object": {...}}`; answer: `{"ok": ...}` or
`{"error": "..."}`. An evaluation that outlives the timer dies by SIGALRM, whatever code it is in, because the
signal keeps its default action; one that asks for too much memory fails or aborts. The parent starts another child.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

LUA_MEMORY = 16 * 1024 * 1024
_LUA_BASICS = {
    "_VERSION", "assert", "error", "getmetatable", "ipairs", "math", "next", "pairs", "pcall", "rawequal", "rawget",
    "rawset", "select", "setmetatable", "string", "table", "tonumber", "tostring", "type", "unpack", "xpcall",
}  # fmt: skip
_LUA_OS = ("clock", "date", "difftime", "time")

Evaluate = Callable[[Any, Any], Any]


def lua() -> Evaluate:
    """Health scripts in Lua 5.1, the version Argo CD speaks: a fresh runtime each time, without doors."""
    import lupa.lua51 as lupa

    def evaluate(script: Any, obj: Any) -> Any:
        if script.startswith("\x1b"):
            raise ValueError("compiled Lua is not accepted")
        runtime = lupa.LuaRuntime(
            max_memory=LUA_MEMORY,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_no_attributes,
        )
        names = runtime.globals()
        times = runtime.table_from({name: names.os[name] for name in _LUA_OS})
        for name in list(names):
            if name not in _LUA_BASICS:
                names[name] = None
        names.string["dump"] = None
        names["_G"], names["os"] = names, times
        names["obj"] = runtime.table_from(obj, recursive=True)
        try:
            result = runtime.execute(script)
        except lupa.LuaMemoryError:
            raise MemoryError from None
        except lupa.LuaError as error:
            raise ValueError(str(error).partition("\nstack traceback")[0]) from None
        if isinstance(result, tuple):
            result = result[0]
        if result is None:
            return None
        if lupa.lua_type(result) != "table":
            raise ValueError(f"it returned a {lupa.lua_type(result) or type(result).__name__}, not a table")
        found = {key: result[key] for key in ("status", "message") if isinstance(result[key], str)}
        return found if found or len(list(result.keys())) else None

    return evaluate


def _no_attributes(*_: Any) -> Any:
    raise AttributeError("not accessible")


def jq() -> Evaluate:
    """Paths of jq expressions. An expression that does not fit the object points at nothing."""
    try:
        import jq as jq_module  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return _not_supported("jq expressions beyond the bounded path language")

    def evaluate(expression: Any, obj: Any) -> Any:
        program = jq_module.compile(f"[path({expression}\n)]")  # the newline ends a comment of theirs
        try:
            return program.input_text(json.dumps(obj)).first()
        except ValueError:
            return []

    return evaluate


def cel() -> Evaluate:
    """The number of the first of some CEL expressions over `self` that is true, None if none is."""
    import cel as cel_module

    def evaluate(expressions: Any, obj: Any) -> Any:
        for number, expression in enumerate(expressions):
            answer = cel_module.compile(expression).execute({"self": obj})
            if not isinstance(answer, bool):
                raise ValueError(f"{expression} is not true or false but {type(answer).__name__}")
            if answer:
                return number
        return None

    return evaluate


def _not_supported(what: str) -> Evaluate:
    def refuse(program: Any, obj: Any) -> Any:
        raise NotImplementedError(f"{what} are not supported by this installation")

    return refuse


def main(language: str, seconds: float, memory: int) -> None:
    evaluate = {"lua": lua, "jq": jq, "cel": cel}[language]()
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)  # whatever a program prints is no answer
    limit = _address_space() + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    while (question := _read(source)) is not None:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            answer = json.dumps({"ok": evaluate(question["program"], question["object"])}, ensure_ascii=False)
        except MemoryError:
            answer = json.dumps({"error": "it used too much memory"})
        except Exception as error:
            answer = json.dumps({"error": str(error) or type(error).__name__}, ensure_ascii=False)
        signal.setitimer(signal.ITIMER_REAL, 0)
        data = answer.encode("utf-8", "replace")
        sink.write(len(data).to_bytes(4, "big") + data)
        sink.flush()


def _read(source: BinaryIO) -> dict[str, Any] | None:
    size = int.from_bytes(source.read(4), "big")
    data = source.read(size)
    if not data:
        return None
    question: dict[str, Any] = json.loads(data)
    return question


def _address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
