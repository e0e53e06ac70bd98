"""What commits say: who, when, why; which paths differ; who wrote between two commits (sources.md 2, approvals)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from guard.redact import plain
from hub.core.sources import RefTable, is_full_id
from hub.core.sources.refs import TAGS
from hub.core.sources.trees import Entry
from hub.errors import SourceError
from hub.source.mirror import Mirror
from hub.source.process import local_git
from hub.source.tree import GitTree

_PERSON = re.compile(r"(?P<name>.*?) ?<(?P<email>[^>]*)>(?: (?P<at>-?[0-9]{1,18}) (?P<zone>[+-][0-9]{4}))?")
_MAX_TEXT = 10_000
_MAX_PATHS = 10_000


@dataclass(frozen=True, slots=True)
class Person:
    """A name and an address as written into a commit, and when; unreadable times are None."""

    name: str
    email: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit for display and for rules about authors. `message` is cut at 10,000 characters."""

    sha: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str
    tags: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        return self.message.split("\n", 1)[0]


def commit_of(mirror: Mirror, sha: str, table: RefTable | None = None) -> Commit:
    """The metadata of one commit; with a RefTable also its tags. Raises SourceError RevisionNotFound."""
    return parse_commit(sha, mirror.commit(sha), _tags_at(table, sha) if table else ())


def _tags_at(table: RefTable, sha: str) -> tuple[str, ...]:
    names = [
        name.removeprefix(TAGS) for name, at in table.refs.items() if at == sha and name.startswith(TAGS)
    ]
    return tuple(sorted(names))


def parse_commit(sha: str, raw: bytes, tags: tuple[str, ...] = ()) -> Commit:
    """Read a raw commit object: header lines, an empty line, the message. Total for any bytes."""
    head, _, body = raw.partition(b"\n\n")
    fields: dict[str, list[str]] = {}
    encoding = "utf-8"
    for line in head.split(b"\n"):
        key, _, value = line.partition(b" ")
        if key == b"encoding":
            encoding = value.decode("ascii", "replace")
        if key in (b"parent", b"author", b"committer"):
            fields.setdefault(key.decode(), []).append(_decoded(value, encoding))
    return Commit(
        sha,
        tuple(fields.get("parent", ())),
        _person(fields.get("author", [""])[0]),
        _person(fields.get("committer", [""])[0]),
        _decoded(body, encoding)[:_MAX_TEXT].rstrip("\n"),
        tags,
    )


def _decoded(raw: bytes, encoding: str) -> str:
    try:
        text = raw.decode(encoding, "replace")
    except LookupError:
        text = raw.decode("utf-8", "replace")
    return plain(text)


def _person(text: str) -> Person:
    found = _PERSON.match(text)
    if found is None:
        return Person(text[:200], "", None)
    at = None
    if found["at"]:
        zone = found["zone"]
        minutes = (int(zone[1:3]) * 60 + int(zone[3:5])) * (-1 if zone[0] == "-" else 1)
        try:
            at = datetime.fromtimestamp(int(found["at"]), timezone(timedelta(minutes=minutes)))
        except (ValueError, OverflowError, OSError):
            at = None
    return Person(found["name"][:200], found["email"][:200], at.astimezone(UTC) if at else None)


def diff_paths(mirror: Mirror, old: str, new: str, paths: Iterable[str]) -> set[str]:
    """Those of `paths` whose entry differs between two commits: the comparison of input sets (sources.md 3)."""
    before, after = mirror.tree(old), mirror.tree(new)
    if before.id == after.id:
        return set()
    return {path for path in paths if before.entry(path) != after.entry(path)}


def changed_paths(
    mirror: Mirror, old: str, new: str, *, below: str = "", limit: int = _MAX_PATHS
) -> list[str]:
    """The files that differ between two commits, in byte order; only folders that differ are read.

    Links count as what they are, not as what they point to. Raises SourceError LimitExceeded above `limit`.
    """
    before, after = mirror.tree(old), mirror.tree(new)
    found = []
    for path in _differences(before, after, _folder_at(before, below), _folder_at(after, below), below):
        found.append(path)
        if len(found) > limit:
            raise SourceError(
                "LimitExceeded", f"more than {limit:,} files differ between {old[:7]} and {new[:7]}"
            )
    return sorted(found, key=lambda path: path.encode("utf-8", "surrogateescape"))


def _folder_at(tree: GitTree, path: str) -> str:
    entry = tree.entry(path)
    return entry.id if entry and entry.kind == "folder" else ""


def _differences(before: GitTree, after: GitTree, old: str, new: str, base: str) -> Iterator[str]:
    stack = [(old, new, base)]
    while stack:
        old, new, base = stack.pop()
        if old == new:
            continue
        left = before.folders([old])[0] if old else {}
        right = after.folders([new])[0] if new else {}
        for name in left.keys() | right.keys():
            one, two = left.get(name), right.get(name)
            if one == two:
                continue
            path = f"{base}/{name}" if base else name
            if any(entry and entry.kind != "folder" for entry in (one, two)):
                yield path
            if any(entry and entry.kind == "folder" for entry in (one, two)):
                stack.append((_folder_id(one), _folder_id(two), path))


def _folder_id(entry: Entry | None) -> str:
    return entry.id if entry and entry.kind == "folder" else ""


def commits_between(mirror: Mirror, old: str, new: str, *, limit: int = 1_000) -> list[Commit]:
    """The commits reachable from `new` and not from `old`, newest first; an empty `old` gives `new` alone.

    Raises SourceError LimitExceeded when there are more than `limit`: a rule about authors must see them all.
    """
    if not old:
        return [commit_of(mirror, new)]
    if not is_full_id(old) or not is_full_id(new):
        raise SourceError("RevisionNotFound", "commits are compared by their full ids")
    mirror.commit(old)
    mirror.commit(new)
    done = local_git(
        ["rev-list", f"--max-count={limit + 1}", "--end-of-options", new, f"^{old}", "--"], mirror.folder
    )
    if not done.ok:
        raise SourceError(
            "RepositoryUnavailable", "the history of the mirror cannot be read", permanent=False
        )
    ids = done.stdout.decode("ascii", "replace").split()
    if len(ids) > limit:
        raise SourceError("LimitExceeded", f"more than {limit:,} commits lie between {old[:7]} and {new[:7]}")
    return [commit_of(mirror, sha) for sha in ids]


def is_ancestor(mirror: Mirror, old: str, new: str) -> bool:
    """Whether `new` grew from `old`; if not, the branch was force-pushed. A commit that is not here grew nowhere.

    Raises SourceError RepositoryUnavailable when the mirror cannot tell.
    """
    if not (mirror.has(old) and mirror.has(new)):
        return False
    done = local_git(["merge-base", "--is-ancestor", "--end-of-options", old, new], mirror.folder)
    if done.killed or done.returncode not in (0, 1):
        raise SourceError(
            "RepositoryUnavailable", "the history of the mirror cannot be read", permanent=False
        )
    return done.returncode == 0


def authors_between(mirror: Mirror, old: str, new: str, *, limit: int = 1_000) -> frozenset[str]:
    """The e-mail addresses, lower case, of everybody who wrote or committed between two commits (no_authors)."""
    commits = commits_between(mirror, old, new, limit=limit)
    return frozenset(
        person.email.lower()
        for commit in commits
        for person in (commit.author, commit.committer)
        if person.email
    )
