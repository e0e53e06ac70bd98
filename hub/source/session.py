"""One call to a server: its credential, its pinned address, its private folder (sources.md 2.4, 2.6).

Secrets reach Git through 0600 files in a private folder on a memory file system, removed after the call, and
through the environment of that one child; never through arguments or addresses.
"""

from __future__ import annotations

import ipaddress
import os
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from guard.addresses import AddressRefused, CheckedAddress, check_host, check_url
from hub.core.sources import RepositoryAccess, RepositoryUrl, parse_url, shown
from hub.errors import SourceError
from hub.source.process import closed_environment

PREFIX = "hub-git-"
MEMORY = Path("/dev/shm")  # noqa: S108 - private 0700 folders are made below it
# A file of the program: folders for temporary files often forbid programs (those of containers do).
ASKPASS = Path(__file__).with_name("askpass")


@dataclass(frozen=True, slots=True)
class Session:
    """What one Git call to a server needs. `trace` is where Git writes the headers it saw."""

    url: RepositoryUrl
    environment: dict[str, str] = field(repr=False)
    options: dict[str, str] = field(repr=False)
    trace: Path


@contextmanager
def session(access: RepositoryAccess) -> Iterator[Session]:
    """Judge the address, resolve and pin the host, lay out the secrets; everything is gone afterwards.

    Raises SourceError: InvalidURL, RepositoryUnavailable (an address that may not be dialled).
    """
    url = parse_url(access.url, allow_http=access.allow_http, allow_file=access.allow_file)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(_private_folder(_memory())))
        environment = closed_environment(folder / "home")
        environment["GIT_ALLOW_PROTOCOL"] = _protocols(access)
        options: dict[str, str] = {}
        if url.scheme in ("https", "http"):
            _prepare_http(access, url, folder, environment, options)
            if (folder / "password").exists():
                environment |= {"GIT_ASKPASS": str(ASKPASS), "HUB_ASKPASS": str(folder)}
        elif url.scheme == "ssh":
            _prepare_ssh(access, url, folder, environment)
        yield Session(url, environment, options, folder / "trace")


def _private_folder(base: Path | None) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix=PREFIX, dir=base, ignore_cleanup_errors=True)


def _memory() -> Path | None:
    return MEMORY if os.access(MEMORY, os.W_OK | os.X_OK) else None


def _protocols(access: RepositoryAccess) -> str:
    allowed = ["https", "ssh"]
    allowed += ["http"] if access.allow_http else []
    allowed += ["file"] if access.allow_file else []
    return ":".join(allowed)


def _prepare_http(
    access: RepositoryAccess,
    url: RepositoryUrl,
    folder: Path,
    environment: dict[str, str],
    options: dict[str, str],
) -> None:
    through_proxy = bool(access.proxy_url) and not _without_proxy(access.no_proxy, url.host)
    secret: dict[str, str] = {}
    if through_proxy:
        pinned = _checked(access, access.proxy_url)
        _refuse_literal(access, url)
        secret["http.proxy"] = access.proxy_url
    else:
        pinned = _checked(access, url.url)
    if not _is_literal(pinned.host):
        addresses = ",".join(_bracketed(address) for address in pinned.addresses)
        options["http.curloptResolve"] = f"{pinned.host}:{pinned.port}:{addresses}"
    for name, option, content in (
        ("ca.pem", "http.sslCAInfo", access.tls_ca),
        ("client.pem", "http.sslCert", access.tls_client_certificate),
        ("client.key", "http.sslKey", access.tls_client_key),
    ):
        if content:
            options[option] = str(_private(folder / name, content))
    if access.skip_checks:
        options["http.sslVerify"] = "false"
    if access.bearer_token:
        secret["http.extraHeader"] = f"Authorization: Bearer {_one_line(access.bearer_token)}"
    elif access.username or access.password:
        _private(folder / "username", _one_line(access.username or "git") + "\n")
        _private(folder / "password", _one_line(access.password) + "\n")
    environment |= {
        "GIT_TRACE_CURL": str(folder / "trace"),
        "GIT_TRACE_CURL_NO_DATA": "1",
        "GIT_TRACE_REDACT": "1",
    }
    environment["GIT_CONFIG_COUNT"] = str(len(secret))
    for number, (name, value) in enumerate(secret.items()):
        environment[f"GIT_CONFIG_KEY_{number}"], environment[f"GIT_CONFIG_VALUE_{number}"] = name, value


def _prepare_ssh(
    access: RepositoryAccess, url: RepositoryUrl, folder: Path, environment: dict[str, str]
) -> None:
    if access.proxy_url and not _without_proxy(access.no_proxy, url.host):
        raise SourceError(
            "RepositoryUnavailable", "a proxy for SSH is not supported yet", "use https:// instead"
        )
    pinned = _checked(access, f"ssh://{_bracketed(url.host)}:{url.port}/")
    alias = url.host if url.port == 22 else f"[{url.host}]:{url.port}"
    checks = "no" if access.skip_checks else "yes"
    known = Path(os.devnull) if access.skip_checks else _private(folder / "known_hosts", access.known_hosts)
    settings = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": checks,
        "UserKnownHostsFile": str(known),
        "GlobalKnownHostsFile": os.devnull,
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "ProxyCommand": "none",
        "HostName": min(
            pinned.addresses, key=lambda address: ":" in address
        ),  # IPv4 first: ssh tries only one
        "HostKeyAlias": alias,
        "ConnectTimeout": "10",
        "PreferredAuthentications": "publickey",
        "UpdateHostKeys": "no",
        "ClearAllForwardings": "yes",
        "LogLevel": "DEBUG1",
    }
    line = ["ssh", "-F", "none"]
    for name, value in settings.items():
        line += ["-o", f"{name}={value}"]
    key = access.ssh_private_key.replace("\r\n", "\n").strip() + "\n" if access.ssh_private_key else ""
    line += ["-i", str(_private(folder / "identity", key)) if key else os.devnull]
    environment |= {"GIT_SSH_COMMAND": shlex.join(line), "GIT_SSH_VARIANT": "ssh"}


def _checked(access: RepositoryAccess, url: str) -> CheckedAddress:
    try:
        return check_url(url, allow_loopback=access.allow_loopback, private_networks=access.private_networks)
    except AddressRefused as error:
        raise SourceError(
            "RepositoryUnavailable",
            f"{shown(access.url)}: {error}",
            "ask an administrator to list the network in HUB_PRIVATE_NETWORKS"
            if "private" in str(error)
            else "",
            permanent=False,
        ) from error


def _refuse_literal(access: RepositoryAccess, url: RepositoryUrl) -> None:
    """The proxy resolves names, but a forbidden address written as such is refused here."""
    if _is_literal(url.host):
        try:
            check_host(
                url.host,
                url.port,
                allow_loopback=access.allow_loopback,
                private_networks=access.private_networks,
            )
        except AddressRefused as error:
            raise SourceError(
                "RepositoryUnavailable", f"{shown(access.url)}: {error}", permanent=False
            ) from error


def _without_proxy(rules: str, host: str) -> bool:
    """`noProxy`: a comma list of hosts, domain suffixes, or `*`."""
    for rule in (part.strip().lower().lstrip(".") for part in rules.split(",")):
        if rule and (rule == "*" or host == rule or host.endswith("." + rule)):
            return True
    return False


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _one_line(text: str) -> str:
    if any(sign in text for sign in "\r\n\0"):
        raise SourceError("AuthenticationFailed", "the credential holds a line break", "enter it again")
    return text


def _private(path: Path, content: str) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    return path
