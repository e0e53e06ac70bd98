"""Repository addresses: which forms exist, what is refused, when two addresses mean the same (sources.md 2.4, 2.6).

Everything here refuses by an allow-list: `https://`, `ssh://`, `user@host:path`; `http://` and `file://` only when
the caller says so. The same function judges at the door and again in the worker, where a row may have been
changed by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

from hub.errors import SourceError

Scheme = Literal["https", "http", "ssh", "file"]

_PORTS = {"https": 443, "http": 80, "ssh": 22, "file": 0}
_MAX_LENGTH = 2048
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]{2,45}\]", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}", re.ASCII)
_SCP = re.compile(r"(?P<user>[^@/:\s]+)@(?P<host>[^@/:\s]+):(?P<path>.+)", re.DOTALL)
_UNSAFE = re.compile(r"[\x00-\x20\x7f$`\\\"'<>|;&(){}*?^#]|[^\x00-\x7f]")


@dataclass(frozen=True, slots=True)
class RepositoryUrl:
    """A judged address. `url` is what Git is given: without userinfo, except the user of SSH.

    `username` and `password` are what stood as userinfo in an HTTP address; they belong into credential fields.
    """

    url: str
    scheme: Scheme
    host: str
    port: int
    path: str
    username: str = ""
    password: str = field(default="", repr=False)


def parse_url(text: str, *, allow_http: bool = False, allow_file: bool = False) -> RepositoryUrl:
    """Judge a repository address. Raises SourceError `InvalidURL`; its text never repeats userinfo or query."""
    if not text or len(text) > _MAX_LENGTH or text.startswith("-") or _UNSAFE.search(text):
        raise _refused(text)
    if "://" not in text:
        return _parse_scp(text)
    scheme, _, rest = text.partition("://")
    if scheme == "file":
        return _parse_file(text, allow_file)
    if scheme not in ("https", "ssh") and not (scheme == "http" and allow_http):
        raise _refused(text)
    try:
        parts = urlsplit(text)
        port = parts.port or _PORTS[scheme]
    except ValueError:
        raise _refused(text) from None
    host_text = rest.partition("/")[0].rpartition("@")[2]
    host = parts.hostname or ""
    if not _HOST.fullmatch(f"[{host}]" if ":" in host else host) or host_text.endswith(":"):
        raise _refused(text)
    _check_path(parts.path, text)
    if parts.path in ("", "/"):
        raise _refused(text)
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if scheme == "ssh":
        if password or (username and not _USER.fullmatch(username)):
            raise _refused(text)
        return RepositoryUrl(text, "ssh", host.lower(), port, parts.path)
    if "%" in host_text or any(ord(sign) < 32 for sign in username + password):
        raise _refused(text)
    clean = f"{scheme}://{host_text}{parts.path}"
    return RepositoryUrl(
        clean, "http" if scheme == "http" else "https", host.lower(), port, parts.path, username, password
    )


def _parse_scp(text: str) -> RepositoryUrl:
    found = _SCP.fullmatch(text)
    if found is None or not _USER.fullmatch(found["user"]) or not _HOST.fullmatch(found["host"]):
        raise _refused(text)
    first = found["path"].lstrip("/").partition("/")[0]
    if first.isdigit() or found["path"].startswith((":", "-")) or not found["path"].strip("/"):
        raise SourceError(
            "InvalidURL",
            f'"{shown(text)}" may not name a port',
            f"write ssh://{found['user']}@{found['host']}:<port>/<path>",
        )
    _check_path("/" + found["path"], text)
    return RepositoryUrl(text, "ssh", found["host"].lower(), 22, "/" + found["path"].lstrip("/"))


def _parse_file(text: str, allowed: bool) -> RepositoryUrl:
    path = text.removeprefix("file://")
    if not allowed or not path.startswith("/") or path.startswith("//"):
        raise _refused(text)
    _check_path(path, text)
    return RepositoryUrl(text, "file", "", 0, path)


def _check_path(path: str, text: str) -> None:
    decoded = unquote(path)
    segments = decoded.split("/")
    if ".." in segments or "." in segments or any(part.startswith("-") for part in segments):
        raise _refused(text)
    if any(ord(sign) < 32 or sign in "\x7f$`\\" for sign in decoded):
        raise _refused(text)


def _refused(text: str) -> SourceError:
    return SourceError(
        "InvalidURL",
        f'"{shown(text)}" is not a repository address; use https:// or ssh://',
        "for example https://git.example.com/team/app.git or git@git.example.com:team/app.git",
    )


def shown(url: str) -> str:
    """An address as texts may show it: one line, without userinfo and query, cut."""
    scheme, mark, rest = url.partition("://")
    if mark:
        authority, slash, path = rest.partition("/")
        url = f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
    url = url.partition("?")[0].partition("#")[0]
    clean = "".join(sign if sign.isprintable() else "?" for sign in url)
    return clean if len(clean) <= 200 else clean[:199] + "…"


def normalise_url(text: str) -> str:
    """One form per Repository: lower case, without `.git` and a trailing `/`; every SSH form becomes `host/path`.

    Used for source patterns (access-and-api.md 1.2) and credential templates. Total: any text has a normal form.
    """
    url = text.strip()
    found = _SCP.fullmatch(url) if "://" not in url else None
    if found:
        url = f"{found['host']}/{found['path'].lstrip('/')}"
    elif url.lower().startswith("ssh://"):
        authority, slash, path = url[6:].partition("/")
        url = authority.rpartition("@")[2] + slash + path
    elif "://" in url:
        scheme, _, rest = url.partition("://")
        authority, slash, path = rest.partition("/")
        url = f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
    url = url.lower().rstrip("/")
    return url.removesuffix(".git").rstrip("/")


def template_covers(template: str, url: str) -> bool:
    """Whether a credential template serves a Repository: a prefix that ends on a path boundary, or ends in `*`."""
    if template.strip().endswith("*"):
        prefix = normalise_url(template.strip()[:-1] + "\x00")[:-1]
        return normalise_url(url).startswith(prefix)
    prefix, wanted = normalise_url(template), normalise_url(url)
    return bool(prefix) and (wanted == prefix or wanted.startswith(prefix + "/"))


def best_template(templates: Iterable[str], url: str) -> str | None:
    """The template with the longest prefix that covers `url` (sources.md 2.6); ties go to byte order."""
    found = [template for template in templates if template_covers(template, url)]
    return min(found, key=lambda each: (-len(normalise_url(each.rstrip("*"))), each.encode()), default=None)


def webhook_key(text: str) -> str:
    """`host/path` as webhooks are matched: without scheme, user, port, `.git`, `ssh.`/`altssh.`, trailing `/`.

    Empty when the text holds no host and path (sources.md 7).
    """
    url = text.strip()
    found = _SCP.fullmatch(url) if "://" not in url else None
    if found:
        host, path = found["host"], found["path"]
    else:
        host, _, path = url.partition("://")[2].partition("/") if "://" in url else url.partition("/")
        host = host.rpartition("@")[2]
        if not host.endswith("]"):
            host = re.sub(r":[0-9]*$", "", host)
    path = path.partition("?")[0].partition("#")[0].strip("/").lower().removesuffix(".git").rstrip("/")
    host = host.lower().removeprefix("ssh.").removeprefix("altssh.")
    if url.startswith("file:///"):
        host = "localhost"  # a folder of this machine, for demos and tests
    return f"{host}/{path}" if host and path else ""
