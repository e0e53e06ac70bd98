"""The three pattern languages of a Project (access-and-api.md 1.2). Matching is linear in time (`hub.core.globs`)."""

from __future__ import annotations

import re
from functools import lru_cache

from hub.core.globs import Glob, compile_glob

_SCP = re.compile(r"(?:[^@/\s]+@)?([^:/\s]+):(?!//)(.+)", re.DOTALL)
_SSH = re.compile(r"ssh://(?:[^@/\s]+@)?(.+)", re.DOTALL)


def normal_url(text: str) -> str:
    """A source URL or URL pattern in its normal form: lower case, SSH forms as host/path, no trailing `.git`.

    >>> normal_url("git@GitHub.com:org/Repo.git"), normal_url("ssh://git@github.com/org/repo")
    ('github.com/org/repo', 'github.com/org/repo')
    """
    url = text.strip().lower()
    ssh = _SSH.fullmatch(url)
    scp = _SCP.fullmatch(url) if "://" not in url else None
    if ssh:
        url = ssh.group(1)
    elif scp:
        url = f"{scp.group(1)}/{scp.group(2).lstrip('/')}"
    return url.rstrip("/").removesuffix(".git")


def climbs(url: str) -> bool:
    """Whether a URL has dot segments: a pattern would be judged on another place than the one that is read."""
    return any(part in (".", "..", "%2e", "%2e%2e", ".%2e", "%2e.") for part in url.lower().split("/"))


@lru_cache(maxsize=2048)
def source_glob(pattern: str) -> Glob:
    """`*` is one path segment, `**` any depth, a lone `*` everything. Raises InvalidGlob."""
    text = pattern.strip()
    return compile_glob("**" if text == "*" else normal_url(text), segments=True)


def place_glob(pattern: str) -> Glob:
    """Servers, names, namespaces: `*` matches anything, exact case. Raises InvalidGlob."""
    return compile_glob(pattern)


@lru_cache(maxsize=2048)
def kind_glob(pattern: str) -> Glob:
    """Groups, kinds, object names: `*` stays before a `/`, `[^a]` negates as well, braces are plain. Raises InvalidGlob."""
    plain = re.sub(r"(\\.)|([{}])", lambda m: m.group(1) or "\\" + m.group(2), pattern)
    plain = re.sub(r"(\\.)|\[\^", lambda m: m.group(1) or "[!", plain)
    return compile_glob(re.sub(r"(\\.)|\*+", lambda m: m.group(1) or "*", plain), segments=True)
