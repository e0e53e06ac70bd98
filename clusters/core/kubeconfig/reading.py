"""From the text of a kubeconfig to a Connection: what is read, and what is refused by name (access-and-api.md CL2)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from clusters.core.connection import Connection
from clusters.core.kubeconfig.certificates import check_ca, check_pair
from clusters.core.kubeconfig.servers import check_host, check_proxy, check_server
from clusters.core.manifests import Limits, ManifestError, load_documents
from clusters.errors import KubeconfigRefused

LARGEST = 256 * 1024
_LIMITS = Limits(documents=1)
_TYPED = "store a token, or use a typed provider (eks, gke, aks)"
_REFUSED: Mapping[str, tuple[str, str, str]] = {
    # field: (code, what it would do, hint)
    "exec": ("kubeconfig_exec_refused", "runs a command", _TYPED),
    "auth-provider": ("kubeconfig_auth_provider_refused", "runs a command", _TYPED),
    "tokenFile": ("kubeconfig_path_refused", "reads a file", "give the token itself"),
    "certificate-authority": ("kubeconfig_path_refused", "reads a file", "use certificate-authority-data"),
    "client-certificate": ("kubeconfig_path_refused", "reads a file", "use client-certificate-data"),
    "client-key": ("kubeconfig_path_refused", "reads a file", "use client-key-data"),
    "username": ("kubeconfig_password_refused", "is a password login", "Kubernetes ended it; use a token"),
    "password": ("kubeconfig_password_refused", "is a password login", "Kubernetes ended it; use a token"),
    "as": ("kubeconfig_impersonation_refused", "acts as somebody else", "name that identity itself"),
    "as-uid": ("kubeconfig_impersonation_refused", "acts as somebody else", "name that identity itself"),
    "as-groups": ("kubeconfig_impersonation_refused", "acts as somebody else", "name that identity itself"),
    "as-user-extra": (
        "kubeconfig_impersonation_refused",
        "acts as somebody else",
        "name that identity itself",
    ),
}
_TOP = frozenset(
    ("apiVersion", "kind", "preferences", "clusters", "users", "contexts", "current-context", "extensions")
)
_CONTEXT = frozenset(("cluster", "user", "namespace", "extensions"))
_CLUSTER = frozenset(
    (
        "server",
        "certificate-authority-data",
        "tls-server-name",
        "insecure-skip-tls-verify",
        "proxy-url",
        "disable-compression",
        "extensions",
    )
)
_USER = frozenset(("token", "client-certificate-data", "client-key-data", "extensions"))


@dataclass(frozen=True, slots=True)
class Access:
    """What the person who registers may do. `proxy_hosts`: proxies that may be named (CL6); `insecure`: TLS
    verification may be off, with a reason (CL7); `http`: plain http on loopback, for demonstrations (CL3)."""

    insecure: bool = False
    http: bool = False
    proxy_hosts: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """What was read of the chosen context. `kind` is `token` or `client certificate`; `expires_at` as far as the
    credential itself says (certificate, or the `exp` of a token that is a JWT); no value shows in `repr`."""

    context: str
    contexts: tuple[str, ...]
    server: str
    kind: str
    namespace: str = ""
    ca_pem: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    client_certificate_pem: str = field(default="", repr=False)
    client_key_pem: str = field(default="", repr=False)
    tls_server_name: str = ""
    insecure_skip_tls_verify: bool = False
    proxy_url: str = field(default="", repr=False)
    expires_at: datetime | None = None


def contexts_of(text: str) -> tuple[str, ...]:
    """The names of the contexts in a kubeconfig, for a person to choose from. Raises KubeconfigRefused."""
    return tuple(_named(_document(text), "contexts"))


def read(text: str, *, now: datetime, context: str = "", access: Access | None = None) -> Kubeconfig:
    """The chosen context (or `current-context`) of a kubeconfig. Only its own cluster and user are judged.

    Raises KubeconfigRefused; `code` says why, and no value of the text is in the message.
    """
    access = access or Access()
    document = _document(text)
    contexts = _named(document, "contexts")
    chosen = context or _text(document, "current-context")
    if chosen not in contexts:
        raise _refused(
            "context_missing", f"there is no context {chosen!r}" if chosen else "no context is chosen"
        )
    where = _part(contexts[chosen], "context", _CONTEXT)
    cluster = _part(_one(document, "clusters", _text(where, "cluster")), "cluster", _CLUSTER)
    user = _part(_one(document, "users", _text(where, "user")), "user", _USER)
    server = check_server(_text(cluster, "server"), http=access.http)
    ca = _pem(cluster, "certificate-authority-data")
    if ca:
        check_ca(ca, now=now)
    kind, expires_at = _credential(user, now)
    return Kubeconfig(
        context=chosen,
        contexts=tuple(contexts),
        server=server,
        kind=kind,
        namespace=_text(where, "namespace"),
        ca_pem=ca,
        token=_text(user, "token").strip(),
        client_certificate_pem=_pem(user, "client-certificate-data"),
        client_key_pem=_pem(user, "client-key-data"),
        tls_server_name=check_host(_text(cluster, "tls-server-name")),
        insecure_skip_tls_verify=_insecure(cluster, access),
        proxy_url=check_proxy(_text(cluster, "proxy-url"), allowed=access.proxy_hosts),
        expires_at=expires_at,
    )


def connection_of(found: Kubeconfig, *, identity: str, name: str = "", **options: Any) -> Connection:
    """The Connection of what was read; `options` are further fields of Connection."""
    return Connection(
        identity=identity,
        name=name,
        server=found.server,
        ca_pem=found.ca_pem,
        token=found.token,
        client_certificate_pem=found.client_certificate_pem,
        client_key_pem=found.client_key_pem,
        tls_server_name=found.tls_server_name,
        insecure_skip_tls_verify=found.insecure_skip_tls_verify,
        proxy_url=found.proxy_url,
        **options,
    )


def _document(text: str) -> dict[str, Any]:
    data = text.encode("utf-8", "surrogatepass")
    if len(data) > LARGEST:
        raise _refused("too_large", "a kubeconfig may have 256 KB")
    try:
        objects = load_documents(data, path="kubeconfig", limits=_LIMITS).objects
    except ManifestError as problem:
        raise _refused("invalid", f"the kubeconfig is not readable YAML (line {problem.line})") from None
    if len(objects) != 1 or objects[0].get("kind") not in ("Config", None):
        raise _refused("invalid", "this is not a kubeconfig", hint="kind: Config, one document")
    return _part(objects[0], "kubeconfig", _TOP)


def _named(document: Mapping[str, Any], plural: str) -> dict[str, Any]:
    """The named entries of a list such as `contexts`: {name: {...}}. Of two with one name the first counts."""
    entries = document.get(plural) or []
    singular = plural[:-1]
    found: dict[str, Any] = {}
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise _refused("invalid", f"an entry of {plural} has no name")
        if unknown := sorted(map(str, entry.keys() - {"name", singular})):
            raise _unknown(plural, unknown)
        found.setdefault(entry["name"], entry.get(singular) or {})
    return found


def _one(document: Mapping[str, Any], plural: str, name: str) -> Any:
    found = _named(document, plural)
    if name not in found:
        raise _refused("invalid", f"the context names {plural[:-1]} {name!r}, which is not there")
    return found[name]


def _part(value: Any, what: str, known: Collection[str]) -> dict[str, Any]:
    """`value` as a map whose keys are all known; a refused one is named with what it would do."""
    if not isinstance(value, dict):
        raise _refused("invalid", f"the {what} is not a map")
    for key in value:
        if key in _REFUSED:
            code, does, hint = _REFUSED[key]
            raise KubeconfigRefused(code, f"the field {key!r} {does} and is not taken", hint=hint)
    if unknown := sorted(str(key) for key in value if key not in known):
        raise _unknown(what, unknown)
    return value


def _credential(user: Mapping[str, Any], now: datetime) -> tuple[str, datetime | None]:
    token = _text(user, "token").strip()
    certificate, key = _pem(user, "client-certificate-data"), _pem(user, "client-key-data")
    if bool(certificate) != bool(key):
        raise _refused("invalid", "client-certificate-data and client-key-data belong together")
    if certificate:
        expires = check_pair(certificate, key, now=now)
        return ("token", _expiry(token)) if token else ("client certificate", expires)
    if not token:
        raise _refused("credential_missing", "the user has neither a token nor a client certificate")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise _refused("invalid", "the token has characters that no token has")
    expires_at = _expiry(token)
    if expires_at is not None and expires_at < now:
        raise _refused("credential_expired", "the token has expired")
    return "token", expires_at


def _expiry(token: str) -> datetime | None:
    """The `exp` of a token that is a JWT; it is shown to people, and nothing rests on it."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError):
        return None


def _pem(part: Mapping[str, Any], name: str) -> str:
    text = _text(part, name)
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise _refused("invalid", f"{name} is not base64 of a PEM text") from None


def _text(part: Mapping[str, Any], name: str) -> str:
    value = part.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _refused("invalid", f"{name} is not a text")
    return value


def _insecure(cluster: Mapping[str, Any], access: Access) -> bool:
    value = cluster.get("insecure-skip-tls-verify") or False
    if not isinstance(value, bool):
        raise _refused("invalid", "insecure-skip-tls-verify is not true or false")
    if value and not access.insecure:
        message = "insecure-skip-tls-verify is only taken from an administrator who gives a reason"
        raise _refused("insecure_refused", message, hint="give certificate-authority-data instead")
    return value


def _refused(code: str, message: str, *, hint: str = "") -> KubeconfigRefused:
    return KubeconfigRefused(f"kubeconfig_{code}", message, hint=hint)


def _unknown(where: str, names: list[str]) -> KubeconfigRefused:
    shown = ", ".join(repr(name[:60]) for name in names[:5])
    return _refused("unknown_field", f"unknown fields in {where}: {shown}", hint="remove them and try again")
