"""Poll: all refs of one Repository from one listing request (sources.md 2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hub.core.sources import (
    DEFAULT_LIMITS,
    RefTable,
    RepositoryAccess,
    SourceLimits,
    is_full_id,
    is_safe_ref,
    limit_error,
)
from hub.core.sources.refs import HEADS, TAGS
from hub.errors import SourceError
from hub.source.failures import MirrorCorrupt, RefMoved, failure
from hub.source.process import LISTING_S, command, limits, run
from hub.source.session import session
from hub.source.throttle import one_request

_PEELED = "^{}"


def poll(
    access: RepositoryAccess,
    *,
    extra_refs: Sequence[str] = (),
    source_limits: SourceLimits = DEFAULT_LIMITS,
    patient: bool = True,
) -> RefTable:
    """The RefTable of a Repository: HEAD, branches, tags, and `extra_refs` (full names outside of these).

    One `git ls-remote`. Raises SourceError: InvalidURL, RepositoryUnavailable, AuthenticationFailed, RateLimited,
    HostKeyUnknown, HostKeyMismatch, LimitExceeded; and Busy, at once unless `patient`, while too many ask that host.
    """
    others = [name for name in extra_refs if is_safe_ref(name) and not name.startswith((HEADS, TAGS))]
    arguments = ["ls-remote", "--symref", "--", "", "HEAD", f"{HEADS}*", f"{TAGS}*", *others]
    with one_request(access, patient=patient), session(access) as call:
        arguments[3] = call.url.url
        done = run(
            command(arguments, options=call.options),
            env=call.environment,
            cwd="/",
            timeout=LISTING_S,
            limits=limits(LISTING_S, output_bytes=source_limits.max_listing_bytes),
        )
        trace = call.trace.read_text("utf-8", "replace") if call.trace.exists() else ""
    if not done.ok:
        if "bytes of output" in done.reason:
            raise limit_error(
                "the list of refs is longer", f"{source_limits.max_listing_bytes:,} B", "max_listing_bytes"
            )
        error = failure(done, access, call.url, trace)
        if isinstance(error, MirrorCorrupt | RefMoved):
            error = SourceError(
                "RepositoryUnavailable", f"the server's copy is broken: {error}", permanent=False
            )
        raise error
    return read_listing(done.stdout, set(others), source_limits)


def read_listing(text: bytes, others: set[str], source_limits: SourceLimits = DEFAULT_LIMITS) -> RefTable:
    """The RefTable in the output of `git ls-remote --symref`; refs with unsafe names are dropped."""
    refs: dict[str, str] = {}
    tag_objects: dict[str, str] = {}
    head = head_id = ""
    for line in text.decode("utf-8", "surrogateescape").split("\n"):
        first, _, name = line.partition("\t")
        if first.startswith("ref: "):
            target = first.removeprefix("ref: ")
            head = target if name == "HEAD" and is_safe_ref(target) else head
        elif not is_full_id(first):
            continue
        elif name == "HEAD":
            head_id = first
        elif name.endswith(_PEELED):
            tag = name.removesuffix(_PEELED)
            if tag in refs:
                tag_objects[tag] = refs[tag]
                refs[tag] = first
        elif is_safe_ref(name) and (name.startswith((HEADS, TAGS)) or name in others):
            refs[name] = first
            if len(refs) > source_limits.max_refs:
                raise limit_error("the repository has more refs", f"{source_limits.max_refs:,}", "max_refs")
    return RefTable(refs, tag_objects, head, head_id, datetime.now(UTC))
