"""Real Git repositories for tests: made with `git fast-import`, served over file://, HTTPS and SSH.

    repo = make_repo(tmp_path)
    sha = commit(repo, {"web/svc.yaml": "...", "gone.yaml": None, "link": Link("web/svc.yaml")})
    with https_server(tmp_path, username="alice", password="pw") as server:
        server.url(repo), server.ca_pem

`file_access(repo)` and `server.access(repo)` make the RepositoryAccess the gate takes.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.core.sources import RepositoryAccess

_ENV = {
    "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_NAME": "Alice",
    "GIT_COMMITTER_EMAIL": "alice@example.com",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
}
ALICE = "Alice <alice@example.com>"
BOB = "Bob <bob@example.com>"


@dataclass(frozen=True)
class Link:
    """A symbolic link with this text."""

    target: str


@dataclass(frozen=True)
class Submodule:
    """A gitlink to this commit."""

    sha: str


Content = str | bytes | Link | Submodule | None


def git(repo: Path, *arguments: str, input: bytes | None = None) -> str:
    """Run one Git command on a repository and return what it wrote."""
    done = subprocess.run(
        ["git", f"--git-dir={repo}", *arguments],
        input=input,
        env=_ENV,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    return done.stdout.decode("utf-8", "surrogateescape").strip()


def make_repo(tmp_path: Path, name: str = "app.git", *, object_format: str = "sha1") -> Path:
    """An empty bare repository whose HEAD is `main`; anybody may fetch any commit by id."""
    repo = tmp_path / name
    repo.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["git", "init", "-q", "--bare", "-b", "main", f"--object-format={object_format}", str(repo)],
        env=_ENV,
        check=True,
        timeout=60,
    )
    git(repo, "config", "http.receivepack", "true")
    return repo


def commit(
    repo: Path,
    files: Mapping[str, Content],
    *,
    branch: str = "main",
    message: str = "change",
    author: str = ALICE,
    committer: str = ALICE,
    parent: str | None = None,
    when: int = 1700000000,
) -> str:
    """Commit on a branch and return the id. None deletes a path. `parent=""` starts (or force-pushes) a new history."""
    ref = f"refs/heads/{branch}"
    if parent is None:
        known = git(repo, "for-each-ref", "--format=%(objectname)", ref)
        parent = known or ""
    parts = [
        f"reset {ref}\n\ncommit {ref}\nauthor {author} {when} +0000\ncommitter {committer} {when} +0000\n".encode(),
        _data(message.encode()),
        f"from {parent}\n".encode() if parent else b"",
        *(_change(path, content) for path, content in files.items()),
    ]
    git(repo, "fast-import", "--quiet", "--force", input=b"".join(parts) + b"\n")
    return git(repo, "rev-parse", ref)


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _change(path: str, content: Content) -> bytes:
    quoted = '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    match content:
        case None:
            return f"D {quoted}\n".encode()
        case Link():
            return f"M 120000 inline {quoted}\n".encode() + _data(content.target.encode())
        case Submodule():
            return f"M 160000 {content.sha} {quoted}\n".encode()
        case str():
            content = content.encode()
    return f"M 100644 inline {quoted}\n".encode() + _data(content)


def tag(repo: Path, name: str, sha: str, *, message: str = "") -> str:
    """A tag; with a message an annotated one. Returns the id of what the ref holds."""
    extra = ["-a", "-m", message] if message else []
    git(repo, "tag", "--force", *extra, name, sha)
    return git(repo, "rev-parse", f"refs/tags/{name}")


def delete_branch(repo: Path, name: str) -> None:
    git(repo, "update-ref", "-d", f"refs/heads/{name}")


def raw_object(repo: Path, kind: str, content: bytes) -> str:
    """Store an object that `git` itself would refuse to make."""
    return git(repo, "hash-object", "-t", kind, "-w", "--literally", "--stdin", input=content)


def raw_commit(repo: Path, tree: str, *, branch: str = "main", message: str = "raw") -> str:
    """A commit of a tree made by hand, put on a branch."""
    person = f"{ALICE} 1700000000 +0000"
    text = f"tree {tree}\nauthor {person}\ncommitter {person}\n\n{message}\n"
    sha = raw_object(repo, "commit", text.encode())
    git(repo, "update-ref", f"refs/heads/{branch}", sha)
    return sha


def file_access(repo: Path, **changes: Any) -> RepositoryAccess:
    """How the gate reaches a repository over file:// (demo and tests only)."""
    fields: dict[str, Any] = {
        "id": repo.stem,
        "url": f"file://{repo}",
        "allow_file": True,
        "allow_loopback": True,
    }
    return RepositoryAccess(**(fields | changes))
