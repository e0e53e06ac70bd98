"""Recording what a Render reads, and asking later whether it would read something else (sources.md 3)."""

from __future__ import annotations

from hub.core.sources.inputs import ABSENT, FileInput, InputSet, ListingInput
from hub.core.sources.trees import Tree
from hub.errors import SourceError
from hub.render.directory import list_files


class Recorder:
    """Collects the Input set of one Render; everything a Render looks at goes through here."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._files: dict[str, str] = {}
        self._listings: list[ListingInput] = []

    def look(self, path: str) -> str:
        """The id at a path, or `absent`; either is an input from now on."""
        if path not in self._files:
            self._files[path] = _id_at(self._tree, path)
        return self._files[path]

    def add(self, listing: ListingInput) -> None:
        self._listings.append(listing)

    def finish(self, *, revision_sensitive: bool = False) -> InputSet:
        files = tuple(FileInput(path, found) for path, found in sorted(self._files.items()))
        return InputSet(files, tuple(self._listings), self._tree.commit if revision_sensitive else "")


def affected(old: InputSet, tree: Tree) -> bool:
    """Whether a source that once read `old` could render differently from this tree.

    An error in the new tree counts as a difference: the pass that renders tells it. SourceErrors that may pass
    (the mirror cannot be read) are raised.
    """
    if old.commit and old.commit != tree.commit:
        return True
    try:
        return any(_id_at(tree, file.path) != file.id for file in old.files) or any(
            _differs(tree, listing) for listing in old.listings
        )
    except SourceError as error:
        if error.permanent:
            return True
        raise


def _id_at(tree: Tree, path: str) -> str:
    entry = tree.entry(path)
    return entry.id if entry else ABSENT


def _differs(tree: Tree, listing: ListingInput) -> bool:
    if listing.tree and _id_at(tree, listing.path) == listing.tree:
        return False
    return list_files(tree, listing.path, listing.options)[1].digest != listing.digest
