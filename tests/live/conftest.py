"""Fixtures of the live suite: a real control plane, PostgreSQL, Redis.

They skip unless HUB_LIVE=1; with it, whatever cannot be built or started is an error, never a skip.
One control plane serves the whole session and every test takes a namespace of its own. Run the suite
in one process: with xdist each worker would start a control plane for itself (right, but five more processes
and 550 MB each). The programs are built before the first test, outside of its time-out.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import services
from tests.live.controlplane import build
from tests.live.controlplane.instance import ControlPlane


def _is_live() -> bool:
    return os.environ.get("HUB_LIVE") == "1"


def pytest_collection_finish(session: pytest.Session) -> None:
    """A cold build takes minutes, more than a test may: do it now, in sight."""
    if session.config.option.collectonly or not _is_live():
        return
    if not any("controlplane_programs" in getattr(item, "fixturenames", ()) for item in session.items):
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        try:
            build.control_plane()
        except build.BuildError as error:
            pytest.exit(f"HUB_LIVE=1, but: {error}", returncode=1)


@pytest.fixture(scope="session")
def live_machine() -> None:
    """Skip here unless HUB_LIVE=1."""
    if not _is_live():
        pytest.skip("Runs on a real control plane, PostgreSQL and Redis: set HUB_LIVE=1 (make live).")


@pytest.fixture(scope="session")
def controlplane_programs(live_machine: None) -> Path:
    """The folder with the built programs of the control plane."""
    return build.control_plane()


@pytest.fixture(scope="session")
def control_plane(controlplane_programs: Path) -> Iterator[ControlPlane]:
    """The session's control plane. A test that stops or pauses parts of it takes `own_control_plane`."""
    with ControlPlane() as cluster:
        yield cluster


@pytest.fixture
def own_control_plane(controlplane_programs: Path) -> Iterator[ControlPlane]:
    """A control plane for one test, which may do to it what it likes."""
    with ControlPlane() as cluster:
        yield cluster


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """The name of a fresh namespace. Its deletion takes 5 s at least, so nobody waits for it."""
    name = f"test-{secrets.token_hex(4)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    control_plane.request("POST", "/api/v1/namespaces", body)
    yield name
    control_plane.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="module")
def postgres_service(live_machine: None) -> Iterator[services.Service]:
    """PostgreSQL with an empty database `hub` (url), for the tests of one file."""
    with services.postgres() as service:
        yield service


@pytest.fixture(scope="module")
def redis_service(live_machine: None) -> Iterator[services.Service]:
    """An empty Redis (url), for the tests of one file."""
    with services.redis() as service:
        yield service
