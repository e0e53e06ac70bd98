"""The error tree of the room *clusters*: a code, a sentence, a hint, and whether repeating can help.

`clusters.kube.answers` makes these from what an API server said; texts are redacted and cut before they come here.
"""

from __future__ import annotations

from typing import NamedTuple


class Cause(NamedTuple):
    """One entry of `Status.details.causes`: which field, why (sync-semantics.md 4.2 names fields to people)."""

    field: str
    reason: str
    message: str


class ClusterError(Exception):
    """Base of all. `permanent`: the same request will fail again until something else changes.

    `retry_after` is in seconds, `status` the HTTP status or 0 when there was no answer. `whole` is the redacted
    text before the cut, for programs that read field paths out of it.
    """

    code = "cluster_error"
    permanent = False

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        retry_after: float | None = None,
        status: int = 0,
        causes: tuple[Cause, ...] = (),
        whole: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.retry_after = retry_after
        self.status = status
        self.causes = causes
        self.whole = whole or message


class NotFound(ClusterError):
    """The kind is served, the object (or its namespace) is not there."""

    code = "not_found"
    permanent = True


class KindNotServed(ClusterError):
    """Discovery does not know the kind, or its path answers `404 page not found`."""

    code = "kind_not_served"
    permanent = True


class Conflict(ClusterError):
    """409: another version, another uid, or a field of another manager."""

    code = "conflict"


class FieldConflict(Conflict):
    """409 of an apply that was not forced: `causes` name the managers and fields."""

    permanent = True


class AlreadyExists(Conflict):
    """409 of a POST: an object of that name is there."""

    code = "already_exists"
    permanent = True


class NotOurs(Conflict):
    """The object right before the delete is not the one that was meant (sync-semantics.md 7.3)."""

    code = "not_ours"
    permanent = True


class Invalid(ClusterError):
    """The server will not take this object: schema, validation, bad request."""

    code = "invalid"
    permanent = True


class UndeclaredField(Invalid):
    """Server-side apply met a field that the schema does not have (api-server-facts.md C3)."""

    code = "undeclared_field"


class Immutable(Invalid):
    """A field that may not change once set; `causes` name it."""

    code = "immutable"


class TooLarge(Invalid):
    """The object or the body is over the server's limit."""

    code = "too_large"


class Forbidden(ClusterError):
    """Not permitted: RBAC, quota or an admission webhook."""

    code = "forbidden"
    permanent = True


class NamespaceTerminating(Forbidden):
    """A create in a namespace that is going away: passes once it is gone."""

    code = "namespace_terminating"
    permanent = False


class Unauthorized(ClusterError):
    """The credentials are not (or no longer) accepted."""

    code = "unauthorized"
    permanent = True


class Throttled(ClusterError):
    """429: the server has too much to do, or a changed kind is being re-initialised."""

    code = "throttled"


class Unavailable(ClusterError):
    """The server, or something it needs, does not answer properly: 5xx, refused or reset connections."""

    code = "unavailable"


class TimedOut(Unavailable):
    """No complete answer in time."""

    code = "timeout"


class CircuitOpen(Unavailable):
    """Not asked at all: the cluster failed five times in a row; `retry_after` says when it is tried again."""

    code = "circuit_open"


class Gone(ClusterError):
    """410: a resourceVersion or continue token has lapsed. List anew."""

    code = "gone"


class CertificateInvalid(Unavailable):
    """The server's certificate is not vouched for by the given CA, or names another host."""

    code = "certificate_invalid"
    permanent = True


class AddressRefused(ClusterError):
    """The server's address may not be dialled (security-and-reliability.md E9)."""

    code = "address_refused"
    permanent = True


class ListIncomplete(ClusterError):
    """A listing could not be finished, or was never allowed: absence proves nothing (sync-semantics.md 7.3)."""

    code = "list_incomplete"


class VersionNotSupported(ClusterError):
    """Kubernetes below 1.22 (access-and-api.md CL11)."""

    code = "version_not_supported"
    permanent = True


class KubeconfigRefused(ClusterError):
    """A kubeconfig that cannot be taken (access-and-api.md CL2, CL3). `code` says why, e.g. `kubeconfig_exec_refused`."""

    permanent = True

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code
