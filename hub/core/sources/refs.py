"""RefTable and Revision: what a ref means, decided once (sources.md 2.2, 2.3)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal

from hub.core.sources.urls import shown
from hub.core.versions import InvalidRange, highest, parse_range, parse_version
from hub.errors import SourceError

HEADS, TAGS = "refs/heads/", "refs/tags/"
FULL_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)
_SHORT_ID = re.compile(r"[0-9a-f]{7,39}", re.ASCII)
_BAD_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)|[./]$|^[/.-]|^@$")
_MAX_REF_BYTES = 255


def is_full_id(text: str) -> bool:
    return FULL_ID.fullmatch(text) is not None


def is_safe_ref(name: str) -> bool:
    """Git's own rules for ref names, plus: at most 255 bytes, no leading `-` in any component."""
    if not name or len(name.encode("utf-8", "replace")) > _MAX_REF_BYTES or not name.isprintable():
        return False
    return not _BAD_IN_REF.search(name) and not any(part.startswith("-") for part in name.split("/"))


@dataclass(frozen=True)
class RefTable:
    """All refs of one Repository from one answer of the server.

    `refs`: full ref name -> commit id (tags peeled). `tag_objects`: full name of an annotated tag -> id of the
    tag object. `head` is the branch HEAD points to (full name, empty when unknown), `head_id` its commit or "".
    """

    refs: Mapping[str, str]
    tag_objects: Mapping[str, str] = field(default_factory=dict)
    head: str = ""
    head_id: str = ""
    observed_at: datetime | None = None

    @cached_property
    def digest(self) -> str:
        """Equal digests mean that nothing moved. The time is no part of it."""
        hashed = hashlib.sha256(f"{self.head}\x00{self.head_id}\n".encode())
        for name in sorted(self.refs):
            hashed.update(f"{name}\x00{self.refs[name]}\x00{self.tag_objects.get(name, '')}\n".encode())
        return hashed.hexdigest()

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """Short names of all tags."""
        return tuple(name.removeprefix(TAGS) for name in self.refs if name.startswith(TAGS))

    @property
    def empty(self) -> bool:
        return not self.refs and not self.head_id

    def as_json(self) -> dict[str, object]:
        return {
            "refs": dict(self.refs),
            "tag_objects": dict(self.tag_objects),
            "head": self.head,
            "head_id": self.head_id,
            "observed_at": self.observed_at.isoformat() if self.observed_at else None,
        }

    @staticmethod
    def from_json(data: Mapping[str, object]) -> RefTable:
        """What `as_json` made; an empty mapping is a table that was never read."""
        refs, tags, at = data.get("refs") or {}, data.get("tag_objects") or {}, data.get("observed_at")
        if not isinstance(refs, dict) or not isinstance(tags, dict):
            raise TypeError("refs and tag_objects are mappings")
        observed = datetime.fromisoformat(at) if isinstance(at, str) else None
        return RefTable(
            dict(refs), dict(tags), str(data.get("head") or ""), str(data.get("head_id") or ""), observed
        )


@dataclass(frozen=True, slots=True)
class RefMove:
    """A ref that two tables show differently; an empty id means that it is not there."""

    name: str
    old: str
    new: str

    @property
    def tag_moved(self) -> bool:
        """A tag that meant another commit before: approvals bound to the old one are void (sources.md 2.3)."""
        return self.name.startswith(TAGS) and bool(self.old and self.new)


def moved_refs(old: RefTable, new: RefTable) -> tuple[RefMove, ...]:
    """What changed between two listings, by name. Whether a branch was force-pushed only its history tells."""
    names = sorted({name for name in {*old.refs, *new.refs} if old.refs.get(name) != new.refs.get(name)})
    return tuple(RefMove(name, old.refs.get(name, ""), new.refs.get(name, "")) for name in names)


@dataclass(frozen=True, slots=True)
class SourceWarning:
    """Something a person should know about a Source; it stops nothing. Shown as the Condition SourceWarning."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """A Revision with the name it came from. `ref` is the full ref to fetch, empty for a bare commit.

    `tag_object` is the id of an annotated tag's object, else empty.
    """

    sha: str
    name: str
    kind: Literal["head", "branch", "tag", "ref", "commit"]
    ref: str = ""
    tag_object: str = ""
    warnings: tuple[SourceWarning, ...] = ()


def resolve(
    table: RefTable,
    target_revision: str,
    tag_prefix: str = "",
    *,
    url: str = "",
    find_commits: Callable[[str], Sequence[str]] = lambda _: (),
) -> Resolution:
    """The Revision a targetRevision means now; the first rule of sources.md 2.2 that matches.

    `find_commits(prefix)` lists the known commits whose id begins so (rule 7). Raises SourceError:
    RevisionNotFound, EmptyRepository, InvalidRef (the name breaks Git's rules).
    """
    wanted = target_revision.strip()
    if wanted in ("", "HEAD"):
        return _head(table, url)
    if is_full_id(wanted.lower()):
        return Resolution(wanted.lower(), wanted.lower(), "commit")
    if wanted.startswith("refs/"):
        return _exact(table, wanted, url)
    name, warnings = _name_of(table, wanted, tag_prefix)
    if not is_safe_ref(name):
        raise _not_found(table, name, url) if _is_range(name) else _bad_ref(wanted)
    found = _short_name(table, name, warnings)
    if found is None and name == wanted and _SHORT_ID.fullmatch(wanted.lower()):
        found = _abbreviated(wanted.lower(), find_commits, warnings, url)
    if found is None:
        raise _not_found(table, name, url)
    return found


def _head(table: RefTable, url: str) -> Resolution:
    sha = table.head_id or table.refs.get(table.head, "")
    if sha:
        return Resolution(sha, "HEAD", "head", table.head or "HEAD")
    if table.empty:
        raise _empty(url)
    branch = f'"{table.head.removeprefix(HEADS)}"' if table.head else "a branch"
    message = f"{shown(url)}: HEAD points to {branch}, which has no commits"
    raise SourceError("EmptyRepository", message, "name a branch or tag")


def _exact(table: RefTable, name: str, url: str) -> Resolution:
    if not is_safe_ref(name):
        raise _bad_ref(name)
    if name not in table.refs:
        raise _not_found(table, name, url)
    kind: Literal["branch", "tag", "ref"] = "ref"
    if name.startswith(HEADS):
        kind = "branch"
    elif name.startswith(TAGS):
        kind = "tag"
    return Resolution(table.refs[name], name, kind, name, table.tag_objects.get(name, ""))


def _name_of(table: RefTable, wanted: str, prefix: str) -> tuple[str, tuple[SourceWarning, ...]]:
    """Rules 4 and 5: the short name that a version or a range stands for."""
    if parse_version(wanted):
        return prefix + wanted, ()
    try:
        best = highest(table.tags, parse_range(wanted), prefix)
    except InvalidRange:
        if not prefix:
            return wanted, ()
        text = f'tagPrefix "{prefix}" is ignored: "{wanted}" is neither a version nor a range'
        return wanted, (SourceWarning("TagPrefixIgnored", text),)
    return best or wanted, ()


def _is_range(text: str) -> bool:
    try:
        return bool(parse_range(text))
    except InvalidRange:
        return False


def _short_name(table: RefTable, name: str, warnings: tuple[SourceWarning, ...]) -> Resolution | None:
    tag, branch = table.refs.get(TAGS + name), table.refs.get(HEADS + name)
    if tag:
        if branch and branch != tag:
            text = f'"{name}" is a tag ({tag[:7]}) and a branch ({branch[:7]}); the tag is used'
            warnings = (*warnings, SourceWarning("AmbiguousRevisionWarning", text))
        return Resolution(tag, name, "tag", TAGS + name, table.tag_objects.get(TAGS + name, ""), warnings)
    return Resolution(branch, name, "branch", HEADS + name, "", warnings) if branch else None


def _abbreviated(
    prefix: str, find: Callable[[str], Sequence[str]], warnings: tuple[SourceWarning, ...], url: str
) -> Resolution | None:
    found = sorted(set(find(prefix)))
    if len(found) > 1:
        listed = ", ".join(found[:5])
        message = f'"{prefix}" begins more than one commit of {shown(url)}: {listed}'
        raise SourceError("RevisionNotFound", message, "write the full commit id")
    return Resolution(found[0], prefix, "commit", "", "", warnings) if found else None


def _not_found(table: RefTable, name: str, url: str) -> SourceError:
    if table.empty:
        return _empty(url)
    message = f'"{name[:255]}" is no branch, tag, matching range or commit of {shown(url)}'
    return SourceError("RevisionNotFound", message, "check targetRevision")


def _empty(url: str) -> SourceError:
    return SourceError("EmptyRepository", f"{shown(url)} has no commits", "push a commit")


def _bad_ref(name: str) -> SourceError:
    clean = "".join(sign if sign.isprintable() else "?" for sign in name)[:80]
    return SourceError("InvalidRef", f'"{clean}" cannot be the name of a branch or tag')
