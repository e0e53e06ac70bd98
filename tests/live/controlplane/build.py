"""Builds the programs of the control plane once: `python -m tests.live.controlplane.build`.

They lie in `<cache>/<hash of all go.mod and go.sum>/`; `<cache>` is CONTROLPLANE_CACHE or
`$XDG_CACHE_HOME/gitops-hub/controlplane`. A folder gets its final name only when complete, so that
an interrupted build is never taken for a finished one; a file lock lets a second caller wait for the first.
helm and kustomize have a folder of their own: nobody who wants a cluster waits for them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KUBERNETES_VERSION = "v1.36.1"
GO_NEEDED = (1, 26)
_HERE = Path(__file__).parent
_SAY_EVERY = 30.0  # seconds between two signs of life


class BuildError(RuntimeError):
    """A program could not be built: Go is missing or too old, or the build failed."""


@dataclass(frozen=True)
class Program:
    name: str
    package: str
    module: Path
    ldflags: str = "-s -w"


def _kubernetes(name: str) -> Program:
    # Without these variables the server calls itself v0.0.0-master+$Format:%H$.
    _, minor, _ = KUBERNETES_VERSION.split(".")
    variables = {
        "k8s.io/component-base/version.gitVersion": KUBERNETES_VERSION,
        "k8s.io/component-base/version.gitMajor": "1",
        "k8s.io/component-base/version.gitMinor": minor,
        "k8s.io/client-go/pkg/version.gitVersion": KUBERNETES_VERSION,
    }
    ldflags = " ".join(["-s -w", *(f"-X {key}={value}" for key, value in variables.items())])
    return Program(name, f"k8s.io/kubernetes/cmd/{name}", _HERE, ldflags)


CONTROL_PLANE = (
    Program("etcd", "go.etcd.io/etcd/server/v3", _HERE),
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    Program("kwok", "sigs.k8s.io/kwok/cmd/kwok", _HERE / "kwok"),
)
PROGRAM_NAMES = tuple(program.name for program in CONTROL_PLANE)
TOOLS = (
    Program("helm", "helm.sh/helm/v4/cmd/helm", _HERE / "tools"),
    Program("kustomize", "sigs.k8s.io/kustomize/kustomize/v5", _HERE / "tools"),
)


def control_plane() -> Path:
    """The folder with etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok, built if needed.

    Raises BuildError.
    """
    return _built(CONTROL_PLANE, prefix="")


def tools() -> Path:
    """The folder with helm and kustomize, built if needed. Raises BuildError."""
    return _built(TOOLS, prefix="tools-")


def cache() -> Path:
    chosen = os.environ.get("CONTROLPLANE_CACHE")
    if chosen:
        return Path(chosen).absolute()
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "gitops-hub" / "controlplane"


def folder_of(programs: tuple[Program, ...], prefix: str = "") -> Path:
    """Where these programs lie once built; the name follows from what they are built of."""
    digest = hashlib.sha256(f"{platform.system()} {platform.machine()}".encode())
    for module in sorted({program.module for program in programs}):
        for name in ("go.mod", "go.sum"):
            digest.update((module / name).read_bytes())
    for program in programs:
        digest.update(f"{program.name} {program.package} {program.ldflags}\n".encode())
    return cache() / f"{prefix}{digest.hexdigest()[:20]}"


def _built(programs: tuple[Program, ...], prefix: str) -> Path:
    target = folder_of(programs, prefix)
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_suffix(".lock")):
        if not target.is_dir():
            _build(programs, target)
    return target


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("somebody else is building, waiting for them")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(programs: tuple[Program, ...], target: Path) -> None:
    go = _go()
    for left_over in target.parent.glob(f"{target.name}.partial-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(prefix=f"{target.name}.partial-", dir=target.parent))
    partial.chmod(0o755)
    try:
        for number, program in enumerate(programs, 1):
            _say(f"building {program.name} ({number} of {len(programs)})")
            began = time.monotonic()
            _compile(go, program, partial / program.name)
            _say(f"built {program.name} in {time.monotonic() - began:.0f} s")
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _say(f"complete: {target}")


def _compile(go: str, program: Program, output: Path) -> None:
    command = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", program.ldflags]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""}
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            [*command, "-o", str(output), program.package],
            cwd=program.module,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        began = time.monotonic()
        try:
            while process.poll() is None:
                try:
                    process.wait(_SAY_EVERY)
                except subprocess.TimeoutExpired:
                    _say(f"still building {program.name}, {time.monotonic() - began:.0f} s")
        except BaseException:
            process.terminate()  # an interrupted caller leaves no compiler behind
            raise
        if process.returncode != 0:
            log.seek(0)
            raise BuildError(f"go build of {program.name} failed:\n{log.read()[-4000:]}")


def _go() -> str:
    wanted = ".".join(map(str, GO_NEEDED))
    go = shutil.which("go")
    if go is None:
        raise BuildError(
            f"The control plane for tests is built with Go {wanted} or later, and there is no `go` on the PATH. "
            "Install Go and put its bin folder on the PATH."
        )
    answer = subprocess.run(  # in the module's folder: Go may choose a later toolchain for it
        [go, "env", "GOVERSION"],
        cwd=_HERE,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    version = re.match(r"go(\d+)\.(\d+)", answer.stdout)
    if version is None or (int(version[1]), int(version[2])) < GO_NEEDED:
        found = (answer.stdout + answer.stderr).strip()
        raise BuildError(
            f"The control plane for tests is built with Go {wanted} or later; {go} says: {found}"
        )
    return go


def _say(text: str) -> None:
    print(f"controlplane: {text}", flush=True)


def main() -> int:
    try:
        print(control_plane())
        print(tools())
    except BuildError as error:
        print(f"controlplane: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
