"""Objects that come back: what a watch shows as ADDED is news."""

from __future__ import annotations

from hub.models import Application
from tests.flow import faults
from tests.flow.conftest import World
from tests.flow.faults import NAMESPACE, config
from tests.live.worldview import until


def test_what_a_person_restores_by_hand_is_seen_at_once(world: World) -> None:
    """Deleted with `kubectl delete`, brought back from a backup with our marks on it (C7): no hour passes."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one") + config("two")})
    with faults.worker() as process:
        app = world.application(sync_policy={"automated": {}})

        def status() -> str:
            return Application.objects.get(id=app.id).sync_status

        assert until(lambda: status() == "Synced")
        assert until(process.watching.settled)
        backup = world.kube.get("v1", "ConfigMap", "one", "shop")
        assert backup is not None
        world.kube.delete("v1", "ConfigMap", "one", "shop")
        assert until(lambda: status() == "OutOfSync")
        for name in ("uid", "resourceVersion", "creationTimestamp", "managedFields"):
            backup["metadata"].pop(name, None)
        world.kube.create(backup)
        assert until(lambda: status() == "Synced")
        labels = {"metadata": {"labels": {"gitops-hub.io/managed-by": None}}}
        held = world.kube.get("v1", "ConfigMap", "two", "shop")["metadata"]["labels"]
        world.kube.patch("v1", "ConfigMap", "two", labels, "shop")
        assert until(lambda: status() == "OutOfSync")
        world.kube.patch("v1", "ConfigMap", "two", {"metadata": {"labels": held}}, "shop")
        assert until(lambda: status() == "Synced")
