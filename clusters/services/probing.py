"""Asks a cluster how it is (access-and-api.md CL11): version, identity, rights, clock, what it serves."""

from __future__ import annotations

import asyncio
import email.utils
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import clusters.errors as errors
from clusters.core.connection import Connection
from clusters.errors import ClusterError
from clusters.kube import loop
from clusters.kube.answers import Answer
from clusters.kube.discovery import Catalogue
from clusters.kube.gate import found_gate, gate_of
from clusters.kube.session import Session

OLDEST = (1, 22)
NEEDED = ("get", "list", "watch", "create", "update", "patch", "delete")
SILENCE = 60.0
_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_MOST_NAMESPACES = 10


@dataclass(frozen=True, slots=True)
class Probe:
    """What a probe found. `state` is one of Cluster.State; `code` is empty or a code of `clusters.errors`.

    `uid` identifies the physical cluster (of its `kube-system`), empty when it may not be read. `missing_rights`
    are sentences such as `delete * in shop`. `clock_difference`: seconds the server is ahead of us, by the second.
    """

    state: str
    message: str = ""
    code: str = ""
    version: str = ""
    uid: str = ""
    missing_rights: tuple[str, ...] = ()
    broken_groups: tuple[str, ...] = ()
    clock_difference: float | None = None
    digest: str = ""


def probe(connection: Connection, *, timeout: float = 10.0) -> Probe:
    """Probe now, on a session of its own: the circuit breaker does not forbid it, and it tries exactly these
    credentials. Never raises ClusterError. A success closes the circuit of the cluster."""
    return loop.run(_probe(connection, timeout))


def alive(connection: Connection) -> ClusterError | None:
    """None when the cluster answered or sent a watch event within 60 s, or answers `GET /version` now."""
    return loop.run(_alive(connection))


async def _alive(connection: Connection) -> ClusterError | None:
    try:
        session = gate_of(connection).session
        if session.last_answer is None or time.monotonic() - session.last_answer > SILENCE:
            await session.request("GET", "/version", verb="read", timeout=10, repeats=0)
    except ClusterError as error:
        return error
    return None


async def _probe(connection: Connection, timeout: float) -> Probe:
    session: Session | None = None
    try:
        async with asyncio.timeout(timeout):
            session = Session(connection)
            found = await _look(session, connection)
    except TimeoutError:
        return Probe("Unreachable", f"the cluster did not answer within {timeout:g} s", errors.TimedOut.code)
    except errors.Unauthorized as error:
        return Probe("Unauthorized", error.message, error.code)
    except ClusterError as error:
        return Probe("Unreachable", error.message, error.code)
    finally:
        if session is not None:
            await session.close()
    shared = found_gate(connection.identity)
    if shared is not None:
        shared.session.breaker.success()
        shared.catalogue.doubt()
    return found


async def _look(session: Session, connection: Connection) -> Probe:
    asked_at = datetime.now(UTC)
    answer = await session.request("GET", "/version", verb="read", repeats=0)
    difference = _clock_difference(answer, asked_at)
    version = answer.json()
    name = str(version.get("gitVersion") or "")
    if _numbers(version) < OLDEST:
        message = f"Kubernetes {name} is older than 1.22"
        return Probe("Degraded", message, errors.VersionNotSupported.code, name, clock_difference=difference)
    discovery, uid, missing = await asyncio.gather(
        Catalogue(session).current(), _uid(session), _missing_rights(session, connection)
    )
    troubles = [f"the API group {group} does not answer" for group in sorted(discovery.broken_groups)]
    troubles += [f"may not {right}" for right in missing]
    return Probe(
        state="Degraded" if troubles else "Connected",
        message="; ".join(troubles)[:500],
        version=name,
        uid=uid,
        missing_rights=missing,
        broken_groups=tuple(sorted(discovery.broken_groups)),
        clock_difference=difference,
        digest=discovery.digest,
    )


def _numbers(version: dict[str, Any]) -> tuple[int, int]:
    """(1, 36) of `{"major": "1", "minor": "36+"}`; an unreadable version counts as new enough."""
    digits = ["".join(filter(str.isdigit, str(version.get(part) or ""))) for part in ("major", "minor")]
    return (int(digits[0]), int(digits[1])) if all(digits) else OLDEST


def _clock_difference(answer: Answer, asked_at: datetime) -> float | None:
    """Seconds the server's clock is ahead; the Date header has whole seconds, the middle of one is meant."""
    try:
        said = email.utils.parsedate_to_datetime(answer.headers.get("Date", ""))
    except ValueError:
        return None
    middle = asked_at + (datetime.now(UTC) - asked_at) / 2
    difference = (said - middle).total_seconds() + 0.5
    return 0.0 if abs(difference) < 1 else round(difference, 1)


async def _uid(session: Session) -> str:
    try:
        answer = await session.request("GET", "/api/v1/namespaces/kube-system", verb="get", repeats=0)
    except (errors.Forbidden, errors.NotFound):
        return ""
    return str(answer.json()["metadata"]["uid"])


async def _missing_rights(session: Session, connection: Connection) -> tuple[str, ...]:
    spaces = connection.namespaces[:_MOST_NAMESPACES] or ("",)
    wanted = [(verb, space) for space in spaces for verb in NEEDED]
    allowed = await asyncio.gather(*(_may(session, verb, space) for verb, space in wanted))
    return tuple(
        f"{verb} * in {space or 'all namespaces'}"
        for (verb, space), granted in zip(wanted, allowed, strict=True)
        if not granted
    )


async def _may(session: Session, verb: str, namespace: str) -> bool:
    attributes = {"verb": verb, "group": "*", "resource": "*"} | (
        {"namespace": namespace} if namespace else {}
    )
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await session.request("POST", _REVIEW, verb="create", body=review, repeats=1)
    return (answer.json().get("status") or {}).get("allowed") is True
