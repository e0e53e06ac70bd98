"""Git as a child process: the closed environment, the options, one call (sources.md 2.4).

The only place that builds a Git command line. User text never stands where an option could: callers hand in refs
that passed `is_safe_ref` inside full refspecs, full object ids and addresses that passed `parse_url`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from guard.child import Completed, Limits, Worker, run

__all__ = ["batch", "closed_environment", "command", "limits", "local_git", "run"]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LISTING_S, FETCH_S, FIRST_FETCH_S, READ_S = 15.0, 120.0, 600.0, 20.0
_MIB = 1024 * 1024
_GRACE_S = 2.0
_OPTIONS = {
    "protocol.version": "2",
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.packedGitLimit": "1g",
    "credential.helper": "",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "fetch.writeCommitGraph": "false",
    "fetch.unpackLimit": "1",  # one pack, complete or absent: a killed fetch leaves no half of a commit
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "30",
    "gc.auto": "0",
    "maintenance.auto": "false",
}


def closed_environment(home: Path) -> dict[str, str]:
    """The environment of every Git child, built from nothing. `home` is an empty private folder."""
    return {
        "PATH": PATH,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "https:ssh",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
    }


def command(
    arguments: Sequence[str], *, folder: Path | None = None, options: Mapping[str, str] | None = None
) -> list[str]:
    """The whole command line: fixed options, then those of one call, then the command with its arguments."""
    line = ["git"]
    if folder is not None:
        line.append(f"--git-dir={folder}")
    for name, value in {**_OPTIONS, **(options or {})}.items():
        line += ["-c", f"{name}={value}"]
    return [*line, *arguments]


def limits(timeout: float, *, output_bytes: int = 32 * _MIB, file_size: int = 64 * _MIB) -> Limits:
    """What one Git child may use. CPU time may be as long as the clock, for a fetch is mostly CPU."""
    return Limits(
        cpu_s=int(timeout) + 1,
        wall_s=timeout,
        address_space=8192 * _MIB,
        file_size=file_size,
        open_files=1024,
        processes=64,
        output_bytes=output_bytes,
        grace_s=_GRACE_S,
    )


def local_git(
    arguments: Sequence[str],
    folder: Path,
    *,
    timeout: float = READ_S,
    input: bytes | None = None,
    output_bytes: int = 32 * _MIB,
    file_size: int = 64 * _MIB,
) -> Completed:
    """One command on a mirror that needs no network and no secret."""
    return run(
        command(arguments, folder=folder),
        input=input,
        env=closed_environment(folder / "home"),
        cwd=folder,
        timeout=timeout,
        limits=limits(timeout, output_bytes=output_bytes, file_size=file_size),
    )


def batch(folder: Path) -> Worker:
    """A long-lived reader of objects of one mirror; replaced after 10,000 turns or 10 idle minutes."""
    bounds = Limits(
        cpu_s=None,
        address_space=8192 * _MIB,
        file_size=0,
        open_files=1024,
        output_bytes=64 * _MIB,
        grace_s=_GRACE_S,
    )
    return Worker(
        command(["cat-file", "--batch"], folder=folder),
        env=closed_environment(folder / "home"),
        cwd=folder,
        limits=bounds,
    )
