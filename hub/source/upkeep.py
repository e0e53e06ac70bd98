"""What killed processes and time leave on the disk of one host: half-removed mirrors, private folders, old packs."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from hub.source.mirror import discard_mirror
from hub.source.session import MEMORY, PREFIX

# Longer than any call may take (a first fetch: 10 minutes), so that what is in use is never touched.
LEFT_OVER_S = 1200.0
DAY_S = 24 * 3600.0


def tidy(root: Path) -> None:
    """Remove the private folders and the half-removed mirrors of processes that were killed."""
    for base in {Path(tempfile.gettempdir()), MEMORY}:
        for folder in _left_over(base, f"{PREFIX}*"):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in _left_over(root, "*.old"):
        shutil.rmtree(folder, ignore_errors=True)


def _left_over(base: Path, pattern: str) -> Iterator[Path]:
    for folder in base.glob(pattern) if base.is_dir() else ():
        try:
            found = folder.lstat()
        except OSError:
            continue  # gone meanwhile
        if found.st_uid == os.getuid() and time.time() - found.st_mtime > LEFT_OVER_S:
            yield folder


def mirrors(root: Path) -> list[str]:
    """The ids of the Repositories that have a mirror on this host."""
    return sorted(folder.stem for folder in root.glob("*.git")) if root.is_dir() else []


def discard(root: Path, name: str) -> None:
    """Delete the mirror of a Repository that is no more, and its lock file. Raises SourceError."""
    folder = root / f"{name}.git"
    discard_mirror(folder)
    folder.with_suffix(".lock").unlink(missing_ok=True)


def is_night(root: Path) -> bool:
    """True once a day for this folder of mirrors, for whoever of its processes asks first."""
    if not root.is_dir():
        return False
    with (root / "tended").open("a+") as stamp:
        try:
            fcntl.flock(stamp, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        found = os.fstat(stamp.fileno())
        if found.st_size and time.time() - found.st_mtime < DAY_S:
            return False
        stamp.truncate(0)
        stamp.write("The mirrors were packed when this file was written.\n")
        return True
