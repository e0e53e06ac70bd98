"""From what Git said to a code and a sentence (sources.md 4.9). Pure: texts in, an error out.

Git has no error codes, so its words are matched (LC_ALL=C keeps them English). For HTTP the headers that Git
traced say more: status, Retry-After, the target of a redirect.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from guard.child import CALLED_OFF, Completed
from guard.redact import redact
from hub.core.sources import RepositoryAccess, RepositoryUrl, shown
from hub.core.sources.backoff import parse_retry_after
from hub.errors import SourceError
from hub.source.throttle import Busy

_MAX_TEXT = 500
_HEADER = re.compile(r"<= Recv header: ?(.*)$", re.MULTILINE)
_STATUS = re.compile(r"HTTP/[0-9.]+ ([0-9]{3})")
_QUOTA = re.compile(r"x-ratelimit-remaining: *0$", re.IGNORECASE)
_OFFERED = re.compile(r"Server host key: (\S+) (SHA256:\S+)")
_CORRUPT = re.compile(
    r"corrupt|bad object|not a git repository|packfile .* (?:cannot be|is far)|too short to be a packfile|"
    r"bad tree object|unable to read (?:tree|sha1|[0-9a-f]{40})|missing blob|missing tree|loose object|"
    r"did not send all necessary objects|non-monotonic index|index file .* (?:is too small|corrupt)|"
    r"invalid sha1 pointer|broken ref|reference broken|bad ref for|unresolved deltas|shallow file has changed|"
    r"pack has bad object|inflate",
    re.IGNORECASE,
)
# A process that was killed left the lock of a ref behind, or a branch took the place of a folder of branches.
_LOCKED = re.compile(r"cannot lock ref|Unable to create '[^']*\.lock': File exists", re.IGNORECASE)
_DISK = re.compile(r"No space left on device|Disk quota exceeded", re.IGNORECASE)
_MOVED = re.compile(
    r"couldn't find remote ref|not our ref|no such remote ref|did not contain|unadvertised object",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"Authentication failed|could not read (?:Username|Password)|Permission denied|invalid credentials|"
    r"returned error: 40[13]|access denied|HTTP Basic: Access denied",
    re.IGNORECASE,
)
_GONE = re.compile(
    r"repository .* not found|does not appear to be a git repository|returned error: 404", re.IGNORECASE
)
_NETWORK = (
    ("the host cannot be resolved", r"Could not resolve|Name or service not known"),
    ("no answer in time", r"timed out|Operation too slow"),
    ("connection refused", r"Connection refused|Couldn't connect|Failed to connect"),
    ("the server's certificate is not trusted", r"certificate|SSL|TLS"),
    (
        "the connection broke off",
        r"early EOF|hung up|Connection reset|closed by remote|RPC failed|Connection closed",
    ),
    ("no route to the host", r"No route to host|Network is unreachable"),
)


class MirrorCorrupt(Exception):
    """The local copy cannot be read; it is a cache and is built again."""


class RefMoved(Exception):
    """What was listed is not what the server gave: list once more."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the last HTTP answer said."""

    status: int = 0
    retry_after: float | None = None
    location: str = ""
    quota_used_up: bool = False


def failure(done: Completed, access: RepositoryAccess, url: RepositoryUrl, trace: str = "") -> Exception:
    """The error a failed Git call means: SourceError, MirrorCorrupt or RefMoved."""
    words = done.stderr.decode("utf-8", "replace")
    where = shown(url.url)
    if done.reason == CALLED_OFF:
        return Busy("RepositoryUnavailable", f"{where}: {CALLED_OFF}", permanent=False)
    if done.reason.startswith("timed out"):
        return _unavailable(where, "no answer in time")
    if done.killed or done.returncode == 127:
        return _unavailable(where, redact(done.reason, access.secrets, limit=_MAX_TEXT))
    if _DISK.search(words):
        return _unavailable(where, "the disk of the mirrors is full")
    if _LOCKED.search(words):
        return MirrorCorrupt(_told(words, access))
    if url.scheme == "ssh" and (refused := _host_key(words, access, url)):
        return refused
    answer = _last_answer(trace)
    return _from_http(answer, access, url, where) or _from_words(words, access, where)


def _from_http(
    answer: _Answer, access: RepositoryAccess, url: RepositoryUrl, where: str
) -> SourceError | None:
    if answer.status in (429, 503) or (answer.status == 403 and answer.quota_used_up):
        return _rate_limited(url.host, answer.retry_after)
    if answer.status in (401, 403):
        return _auth(where, access, f" ({answer.status})")
    if 300 <= answer.status < 400 and answer.location:
        target = shown(answer.location)
        return SourceError(
            "RepositoryUnavailable",
            f"{where} redirects to {target}; redirects are not followed",
            f"use {target}",
        )
    if answer.status in (404, 410):
        return _not_there(where)
    if answer.status >= 500:
        return _unavailable(where, f"the server answered {answer.status}", answer.retry_after)
    return None


def _from_words(words: str, access: RepositoryAccess, where: str) -> Exception:
    if _MOVED.search(words):
        return RefMoved(_told(words, access))
    if _REFUSED.search(words):
        return _auth(where, access, "")
    if _GONE.search(words):
        return _not_there(where)
    for sentence, pattern in _NETWORK:
        if re.search(pattern, words, re.IGNORECASE):
            return _unavailable(where, sentence)
    if _CORRUPT.search(words):
        return MirrorCorrupt(_told(words, access))
    return _unavailable(where, _told(words, access) or "git ended without a word")


def _told(words: str, access: RepositoryAccess) -> str:
    """The lines of Git a person can use, on one line, without secrets."""
    lines = [line.strip() for line in words.splitlines()]
    useful = [line for line in lines if line and not line.startswith(("debug1:", "hint:", "warning:"))]
    return redact(" ".join(useful), access.secrets, limit=_MAX_TEXT)


def _unavailable(where: str, why: str, retry_after: float | None = None) -> SourceError:
    return SourceError("RepositoryUnavailable", f"{where}: {why}", permanent=False, retry_after=retry_after)


def _not_there(where: str) -> SourceError:
    return SourceError(
        "RepositoryUnavailable",
        f"{where}: the repository does not exist or the credential may not see it",
        permanent=False,
    )


def _auth(where: str, access: RepositoryAccess, status: str) -> SourceError:
    credential = f'the credential "{access.credential}"' if access.credential else "the credential"
    if not (access.username or access.password or access.bearer_token or access.ssh_private_key):
        return SourceError(
            "AuthenticationFailed", f"{where} asks for a credential{status}", "add one to the Repository"
        )
    return SourceError(
        "AuthenticationFailed", f"{where} refused {credential}{status}", "check the credential"
    )


def _rate_limited(host: str, retry_after: float | None) -> SourceError:
    at = datetime.now(UTC) + timedelta(seconds=retry_after) if retry_after else None
    until = f"to wait until {at:%H:%M:%S} UTC (Retry-After)" if at else "to wait"
    return SourceError(
        "RateLimited",
        f"{host} asks {until}; last good state is kept",
        permanent=False,
        retry_at=at,
        retry_after=retry_after,
    )


def _last_answer(trace: str) -> _Answer:
    """The last status line of the trace and the headers that followed it; interim answers do not count."""
    status, headers = 0, list[str]()
    for line in (found.strip() for found in _HEADER.findall(trace)):
        if found := _STATUS.match(line):
            status, headers = int(found[1]), []
        headers.append(line)
    values = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in headers)
    }
    asked = values.get("retry-after")
    return _Answer(
        status,
        parse_retry_after(asked, datetime.now(UTC)) if asked else None,
        values.get("location", ""),
        any(_QUOTA.match(line) for line in headers),
    )


def _host_key(words: str, access: RepositoryAccess, url: RepositoryUrl) -> SourceError | None:
    """HostKeyUnknown or HostKeyMismatch, with the fingerprint the server offered."""
    found = _OFFERED.search(words)
    offered = f"{found[1]} {found[2]}" if found else "a key"
    known = known_fingerprints(access.known_hosts, url.host, url.port)
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in words or (
        known and "host key verification failed" in words.lower()
    ):
        kept = ", ".join(known) or "another key"
        return SourceError("HostKeyMismatch", f"{url.host} offers {offered}, which changed; known is {kept}")
    if "Host key verification failed" in words or "host key is known for" in words:
        return SourceError(
            "HostKeyUnknown",
            f"{url.host} offers {offered} which is not known",
            "compare the fingerprint and add the key to the known hosts",
        )
    return None


def known_fingerprints(known_hosts: str, host: str, port: int) -> list[str]:
    """The SHA256 fingerprints that a known_hosts text holds for a host, as `ssh-keygen -l` writes them."""
    name = host if port == 22 else f"[{host}]:{port}"
    found = []
    for line in known_hosts.splitlines():
        parts = line.split()
        if len(parts) < 3 or parts[0].startswith(("#", "@")) or not _names(parts[0], name):
            continue
        try:
            key = base64.b64decode(parts[2], validate=True)
        except binascii.Error:
            continue
        digest = base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
        found.append(f"SHA256:{digest}")
    return found


def _names(field: str, name: str) -> bool:
    if not field.startswith("|1|"):
        return name in field.split(",")
    try:
        salt, wanted = (base64.b64decode(part) for part in field.split("|")[2:4])
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), "sha1").digest(), wanted)
