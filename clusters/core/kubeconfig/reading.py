"""From the text of a kubeconfig to a Connection: what is read, and what is refused by name (access-and-api.md CL2)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from clusters.core.connection import Connection
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
    "certificate-authority": (
        "kubeconfig_path_refused",
        "reads a file",
        "use certificate-authority-data: kubectl config view --flatten writes it",
    ),
    "client-certificate": (
        "kubeconfig_path_refused",
        "reads a file",
        "use client-certificate-data: kubectl config view --flatten writes it",
    ),
    "client-key": (
        "kubeconfig_path_refused",
        "reads a file",
        "use client-key-data: kubectl config view --flatten writes it",
    ),
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
class Kubeconfig:
    """What one context says. The names are the columns of a Cluster; no secret shows in `repr`."""

    server: str
    ca_pem: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    client_certificate_pem: str = field(default="", repr=False)
    client_key_pem: str = field(default="", repr=False)
    tls_server_name: str = ""
    insecure_skip_tls_verify: bool = False
    proxy_url: str = field(default="", repr=False)

    @property
    def kind(self) -> str:
        return "token" if self.token else "client certificate"


def read(text: str, context: str = "") -> dict[str, Any]:
    """The columns of a Cluster that the chosen context (or `current-context`) fills, without empty ones.

    Whether that server, proxy, certificate or unverified TLS may be used is the caller's to judge (CL3, CL6, CL7).
    Raises KubeconfigRefused; `code` says why, and no value of the text is in the message.
    """
    found = read_context(text, context)
    columns = {one.name: getattr(found, one.name) for one in fields(found)}
    return {name: value for name, value in columns.items() if value}


def read_context(text: str, context: str = "") -> Kubeconfig:
    """The same as a value. Only the chosen context's own cluster and user are judged."""
    document = _document(text)
    chosen = context or _text(document, "current-context")
    return _judge(document, chosen)


def connection(text: str, context: str = "", *, identity: str, **options: Any) -> Connection:
    """A Connection straight from a kubeconfig; `options` are further fields of Connection."""
    found = read_context(text, context)
    return Connection(
        identity=identity, **{one.name: getattr(found, one.name) for one in fields(found)}, **options
    )


def preview(text: str) -> dict[str, Any]:
    """`{current_context, contexts: [{name, server, namespace, credential_kind} or {name, error, message, hint}]}`.

    Raises KubeconfigRefused when the text is no kubeconfig, or when the context that would be taken cannot be.
    """
    document = _document(text)
    contexts = _named(document, "contexts")
    current = _text(document, "current-context") or (next(iter(contexts)) if len(contexts) == 1 else "")
    if current or not contexts:
        _judge(document, current)
    return {"current_context": current, "contexts": [_shown(document, name) for name in contexts]}


def _shown(document: dict[str, Any], name: str) -> dict[str, Any]:
    try:
        found = _judge(document, name)
    except KubeconfigRefused as refused:
        return {"name": name, "error": refused.code, "message": refused.message, "hint": refused.hint}
    namespace = _text(_named(document, "contexts")[name], "namespace")
    return {"name": name, "server": found.server, "namespace": namespace, "credential_kind": found.kind}


def _judge(document: dict[str, Any], chosen: str) -> Kubeconfig:
    contexts = _named(document, "contexts")
    if chosen not in contexts:
        message = f"there is no context {chosen[:100]!r}" if chosen else "no context is chosen"
        raise _refused("context_missing", message, hint="name one of its contexts")
    where = _part(contexts[chosen], "context", _CONTEXT)
    cluster = _part(_one(document, "clusters", _text(where, "cluster")), "cluster", _CLUSTER)
    user = _part(_one(document, "users", _text(where, "user")), "user", _USER)
    return Kubeconfig(
        server=check_server(_text(cluster, "server")),
        ca_pem=_pem(cluster, "certificate-authority-data"),
        **_credential(user),
        tls_server_name=check_host(_text(cluster, "tls-server-name")),
        insecure_skip_tls_verify=_flag(cluster, "insecure-skip-tls-verify"),
        proxy_url=check_proxy(_text(cluster, "proxy-url")),
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


def _credential(user: Mapping[str, Any]) -> dict[str, str]:
    token = _text(user, "token").strip()
    certificate, key = _pem(user, "client-certificate-data"), _pem(user, "client-key-data")
    if bool(certificate) != bool(key):
        raise _refused("invalid", "client-certificate-data and client-key-data belong together")
    if not token and not certificate:
        raise _refused(
            "credential_missing", "the user has neither a token nor a client certificate", hint=_TYPED
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise _refused("invalid", "the token has characters that no token has")
    if token:
        # Both: kubectl sends both, and an API server takes the certificate's identity only without a token.
        return {"token": token}
    return {"client_certificate_pem": certificate, "client_key_pem": key}


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


def _flag(part: Mapping[str, Any], name: str) -> bool:
    value = part.get(name)
    if value not in (None, True, False):
        raise _refused("invalid", f"{name} is not true or false")
    return bool(value)


def _refused(code: str, message: str, *, hint: str = "") -> KubeconfigRefused:
    return KubeconfigRefused(f"kubeconfig_{code}", message, hint=hint)


def _unknown(where: str, names: list[str]) -> KubeconfigRefused:
    shown = ", ".join(repr(name[:60]) for name in names[:5])
    return _refused("unknown_field", f"unknown fields in {where}: {shown}", hint="remove them and try again")
