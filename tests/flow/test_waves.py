"""Waves keep their order and do not pause (sync-semantics.md 3.4, 12 rule 1)."""

from __future__ import annotations

from tests.flow.conftest import World

WAVE = """apiVersion: v1
kind: ConfigMap
metadata: {{name: wave-{n}, namespace: shop, annotations: {{argocd.argoproj.io/sync-wave: "{n}"}}}}
data: {{n: "{n}"}}
"""
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"


def test_e03_ten_configmap_waves_do_not_pause(world: World) -> None:
    """Ten waves of ConfigMaps are one pass: no timer, no second look."""
    world.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    world.commit({f"deploy/{n}.yaml": WAVE.format(n=n) for n in range(10)})
    app = world.application()
    world.run(app)
    operation = world.sync(app)
    from hub.reconcile import reconcile

    reconcile(app.id)
    operation.refresh_from_db()
    app.refresh_from_db()
    print(app.stages)
    assert (operation.phase, operation.message) == ("Succeeded", "successfully synced (all tasks run)")
    versions = [
        int(world.kube.get("v1", "ConfigMap", f"wave-{n}", "shop")["metadata"]["resourceVersion"])
        for n in range(10)
    ]
    assert versions == sorted(versions)
