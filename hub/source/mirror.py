"""The local copy of one Repository: a bare mirror that holds the commits somebody tracks (sources.md 2.1, 2.3).

The mirror is a cache: whatever is wrong with it, it is built again once. Reading needs no lock; fetching and
rebuilding hold the lock file beside it. One mirror per Repository record, named by its id.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

import hub.source.objects as objects
from guard.child import Completed
from hub.core.sources import (
    DEFAULT_LIMITS,
    RepositoryAccess,
    Resolution,
    SourceLimits,
    is_full_id,
    limit_error,
    shown,
)
from hub.core.sources.limits import megabytes
from hub.errors import SourceError
from hub.source.failures import MirrorCorrupt, RefMoved, failure
from hub.source.objects import ObjectMissing, Objects, TooLarge
from hub.source.process import FETCH_S, FIRST_FETCH_S, closed_environment, command, limits, local_git, run
from hub.source.session import session
from hub.source.throttle import Busy, one_request
from hub.source.tree import GitTree

_KEEP = "refs/hub/keep/"
_MAX_COMMIT_BYTES = 1024 * 1024
_LOCK_PATIENCE_S = 60.0
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_TREE_LINE = re.compile(rb"tree ([0-9a-f]{40}(?:[0-9a-f]{24})?)\n")


@dataclass
class Mirror:
    """A mirror that holds `wanted`. `rebuilt` tells that it had to be built again (event `mirror-rebuilt`)."""

    access: RepositoryAccess = field(repr=False)
    folder: Path
    wanted: tuple[Resolution, ...]
    limits: SourceLimits = DEFAULT_LIMITS
    fetched: bool = False
    rebuilt: bool = False

    def __post_init__(self) -> None:
        self.objects = Objects(self.folder)

    def tree(self, sha: str) -> GitTree:
        """The files of a commit. Raises SourceError RevisionNotFound."""
        raw = self.commit(sha)
        found = _TREE_LINE.match(raw)
        if found is None:
            raise SourceError("RevisionNotFound", f"{sha} is no commit")
        return GitTree(sha, found[1].decode(), self.objects, self.limits, self.heal)

    def commit(self, sha: str) -> bytes:
        """The raw text of a commit object. Raises SourceError RevisionNotFound."""
        try:
            raw = self._commit(sha)
        except MirrorCorrupt:
            self.heal()
            raw = self._commit(sha)
        if raw is None:
            raise _no_commit(sha, self.access)
        return raw

    def _commit(self, sha: str) -> bytes | None:
        try:
            found = self.objects.commit(sha, _MAX_COMMIT_BYTES)
        except (ObjectMissing, TooLarge):
            return None
        return found.content if found.type == "commit" else None

    def has(self, sha: str) -> bool:
        """Whether the commit is here; an unreadable mirror has nothing."""
        try:
            return self._commit(sha) is not None
        except MirrorCorrupt:
            return False

    def find_commits(self, prefix: str) -> list[str]:
        """The commits whose id begins with 4 to 63 hex digits (sources.md 2.2 rule 7)."""
        if not re.fullmatch(r"[0-9a-f]{4,63}", prefix, re.ASCII):
            return []
        done = local_git(["rev-parse", f"--disambiguate={prefix}"], self.folder)
        ids = [line for line in done.stdout.decode("ascii", "replace").split() if is_full_id(line)]
        return [each for each in ids[:100] if self.has(each)]

    def keep(self, shas: Iterable[str], tracked: Iterable[str] | None = None) -> None:
        """Protect exactly these commits from garbage collection (keep refs, sources.md 1).

        With `tracked` (full names of refs of the server) every other ref goes that a fetch once left here.
        Raises SourceError when the mirror cannot be written.
        """
        wanted = {f"{_KEEP}{sha}": sha for sha in shas if self.has(sha)}
        with _locked(self.folder):
            done = local_git(["for-each-ref", "--format=%(refname)", "refs/hub/"], self.folder)
            present = set(done.stdout.decode("utf-8", "surrogateescape").split())
            stays = present if tracked is None else {_here(ref) for ref in tracked}
            lines = [f"create {name} {wanted[name]}\n" for name in sorted(wanted.keys() - present)]
            lines += [
                f"delete {name}\n"
                for name in sorted(present - wanted.keys())
                if name.startswith(_KEEP) or name not in stays
            ]
            text = "".join(lines).encode("utf-8", "surrogateescape")
            done = local_git(["update-ref", "--stdin"], self.folder, input=text) if lines else done
        if not done.ok:
            raise _unwritable("its refs cannot be written", done)

    def packs(self) -> int:
        """How many packs there are: every fetch leaves one more."""
        return len(list(self.folder.glob("objects/pack/*.pack")))

    def heal(self) -> None:
        """Build the mirror again with what was wanted. Raises SourceError when the server does not give it."""
        with _locked(self.folder):
            try:
                _rebuild(self)
            except RefMoved as error:
                raise SourceError(
                    "RepositoryUnavailable", f"the mirror is gone and {error}", permanent=False
                ) from error


def ensure(
    access: RepositoryAccess,
    revisions: Sequence[Resolution],
    *,
    root: Path,
    source_limits: SourceLimits = DEFAULT_LIMITS,
    patient: bool = True,
) -> Mirror:
    """A mirror below `root` that holds these Revisions, after at most one fetch for all that is missing.

    Who is not `patient` leaves at once with Busy when another fetch of this mirror is under way. Raises SourceError as `poll` does, RevisionNotFound for a commit the server does not have, and RefMoved when
    a ref moved between listing and fetching: then list once more (`hub.source.obtain` does).
    """
    mirror = Mirror(access, mirror_folder(root, access), tuple(revisions), source_limits)
    if all(mirror.has(each.sha) for each in revisions) and mirror.folder.is_dir():
        return mirror
    with _locked(mirror.folder, _LOCK_PATIENCE_S if patient else 0.0):
        first = not (mirror.folder / "HEAD").exists()
        if first:
            _remove(mirror.folder)
            _create(mirror.folder, revisions)
        missing = [each for each in revisions if not mirror.has(each.sha)]
        try:
            if missing:
                _fetch(mirror, missing, first=first)
        except MirrorCorrupt:
            _rebuild(mirror)
    return mirror


def _rebuild(mirror: Mirror) -> None:
    """Start anew with what is wanted; under the lock. Raises SourceError, RefMoved."""
    _remove(mirror.folder)
    _create(mirror.folder, mirror.wanted)
    try:
        _fetch(mirror, mirror.wanted, first=True)
    except MirrorCorrupt as error:
        raise SourceError(
            "RepositoryUnavailable", f"the mirror cannot be built: {error}", permanent=False
        ) from error
    mirror.rebuilt = True


def mirror_folder(root: Path, access: RepositoryAccess) -> Path:
    name = access.id if _PLAIN_ID.fullmatch(access.id) else hashlib.sha256(access.id.encode()).hexdigest()
    return root / f"{name}.git"


def remove_mirror(root: Path, access: RepositoryAccess) -> None:
    """Delete the mirror of a Repository that is no more."""
    discard_mirror(mirror_folder(root, access))


def discard_mirror(folder: Path) -> None:
    """Delete a mirror, whoever it belonged to."""
    if folder.parent.is_dir():
        with _locked(folder):
            _remove(folder)


def repack(mirror: Mirror) -> None:
    """The nightly work: pack, and drop what nothing refers to and is older than 7 days. Raises SourceError."""
    with _locked(mirror.folder):
        done = local_git(
            ["gc", "--quiet", "--prune=7.days.ago"],
            mirror.folder,
            timeout=FIRST_FETCH_S,
            file_size=mirror.limits.max_mirror_bytes,
        )
    # Readers keep the packs that are gone open, and their place on the disk taken.
    objects.forget(mirror.folder)
    if not done.ok:
        raise _unwritable("the mirror cannot be packed", done)


def _unwritable(what: str, done: Completed) -> SourceError:
    words = done.stderr.decode("utf-8", "replace")[-300:] or done.reason
    return SourceError("RepositoryUnavailable", f"{what}: {words}", permanent=False)


@contextmanager
def _locked(folder: Path, patience: float = _LOCK_PATIENCE_S) -> Iterator[None]:
    """Hold the lock file of a mirror. Raises Busy when another holds it too long."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _disk(error) from error
    try:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Busy(
                        "RepositoryUnavailable", "another fetch of this mirror is under way", permanent=False
                    ) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _remove(folder: Path) -> None:
    objects.forget(folder)
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        trash = folder.with_name(f"{folder.name}.{uuid4().hex}.old")
        folder.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)


def _create(folder: Path, revisions: Sequence[Resolution]) -> None:
    wide = any(len(each.sha) == 64 for each in revisions)
    kind = ["--object-format=sha256"] if wide else []
    line = command(["init", "--quiet", "--bare", "--template=", *kind, "--", str(folder)])
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise _disk(error) from error
    done = run(line, env=closed_environment(folder / "home"), cwd=folder, timeout=20, limits=limits(20))
    if not done.ok:
        raise _unwritable("the mirror cannot be created", done)


def _fetch(mirror: Mirror, wanted: Sequence[Resolution], *, first: bool) -> None:
    """One fetch for all; afterwards every wanted commit is here, or an error says why not.

    A commit whose ref moved or went meanwhile is asked for by its id: what was planned can still be applied.
    """
    timeout = FIRST_FETCH_S if first else FETCH_S
    named = [each for each in wanted if each.ref.startswith("refs/")]
    try:
        _fetch_once(mirror, sorted({_refspec(each) for each in wanted}), timeout)
    except RefMoved:
        if not named:
            raise _no_commit(wanted[0].sha, mirror.access) from None
    lost = [each for each in wanted if not mirror.has(each.sha)]
    if lost:
        try:
            _fetch_once(mirror, sorted({_pin(each) for each in lost}), timeout)
        except RefMoved:
            if not named:
                raise _no_commit(lost[0].sha, mirror.access) from None
            raise
    for each in lost:
        if not mirror.has(each.sha):
            raise _no_commit(each.sha, mirror.access)


def _fetch_once(mirror: Mirror, refspecs: Sequence[str], timeout: float) -> None:
    """One `git fetch`. Raises SourceError, MirrorCorrupt, RefMoved."""
    access, size = mirror.access, mirror.limits.max_mirror_bytes
    depth = [f"--depth={access.depth}"] if access.depth > 0 else []
    flags = [
        "--quiet",
        "--force",
        "--no-tags",
        "--no-write-fetch-head",
        "--no-recurse-submodules",
        "--refmap=",
    ]
    with one_request(access), session(access) as call:
        done = run(
            command(
                [
                    "fetch",
                    *flags,
                    "--no-auto-maintenance",
                    *depth,
                    "--end-of-options",
                    call.url.url,
                    *refspecs,
                ],
                folder=mirror.folder,
                options=call.options,
            ),
            env=call.environment,
            cwd=mirror.folder,
            timeout=timeout,
            limits=limits(timeout, file_size=size),
        )
        trace = call.trace.read_text("utf-8", "replace") if call.trace.exists() else ""
    mirror.fetched = True
    if not done.ok:
        if _drop_left_overs(mirror.folder) + 4096 >= size:  # the pack ran into the limit on file sizes
            _refuse_size(mirror, "more than " + megabytes(size))
        raise failure(done, access, call.url, trace)
    if (used := _size_of(mirror.folder)) > size:
        _refuse_size(mirror, megabytes(used))


def _refuse_size(mirror: Mirror, used: str) -> NoReturn:
    _remove(mirror.folder)
    limit = megabytes(mirror.limits.max_mirror_bytes)
    raise limit_error(f"the mirror of {shown(mirror.access.url)} is {used}", limit, "max_mirror_bytes")


def _drop_left_overs(folder: Path) -> int:
    """Remove what a failed fetch left; the size of the largest piece."""
    largest = 0
    for piece in (folder / "objects").glob("**/tmp_*"):
        largest = max(largest, piece.stat().st_size)
        piece.unlink(missing_ok=True)
    return largest


def _refspec(wanted: Resolution) -> str:
    """`+refs/heads/x:refs/hub/heads/x`, never the server's whole name space; a bare commit is pinned by id."""
    if wanted.ref.startswith("refs/"):
        return f"+{wanted.ref}:{_here(wanted.ref)}"
    return _pin(wanted)


def _here(ref: str) -> str:
    """The name that a ref of the server has in the mirror."""
    return f"refs/hub/{ref.removeprefix('refs/')}"


def _pin(wanted: Resolution) -> str:
    return f"+{wanted.sha}:refs/hub/pins/{wanted.sha}"


def _size_of(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                continue  # a lock or temporary file that just went
    return total


def _no_commit(sha: str, access: RepositoryAccess) -> SourceError:
    message = f'"{sha[:64]}" is no branch, tag, matching range or commit of {shown(access.url)}'
    return SourceError("RevisionNotFound", message, "check targetRevision")


def _disk(error: OSError) -> SourceError:
    return SourceError(
        "RepositoryUnavailable",
        f"the mirror cannot be written: {error.strerror}",
        "check the disk below HUB_MIRROR_DIR",
        permanent=False,
    )
