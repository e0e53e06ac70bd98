"""The hub on a sandbox and on a real control plane: autoscalers, tree, live objects, actions, logs, events."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.test import AsyncClient

from clusters import kube
from clusters.sandbox import Sandbox
from hub.api import nudging
from hub.api.throttle import buckets
from hub.models import Application, AuditEvent, ResourceStatus, User
from tests.hub import factories
from tests.hub.conftest import Api
from tests.live.hubworld import HubWorld

REAL = [pytest.param("real", marks=pytest.mark.live)] if os.environ.get("HUB_LIVE") == "1" else []
DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {{name: api}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: api}}}}
  template:
    metadata: {{labels: {{app: api}}}}
    spec: {{containers: [{{name: main, image: "example.com/api:{tag}"}}]}}
"""
SCALER = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"},
        "minReplicas": 5,
        "maxReplicas": 10,
    },
}


@pytest.fixture(autouse=True)
def quiet_doors(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.STATIC_ROOT = tmp_path
    buckets.clear()
    monkeypatch.setattr(nudging, "look", lambda ids: None)


@pytest.fixture(params=["sandbox", *REAL])
def world(
    request: pytest.FixtureRequest, tmp_path: Path, transactional_db: None, settings: Any
) -> Iterator[HubWorld]:
    settings.HUB_MIRROR_DIR = tmp_path / "mirrors"
    if request.param == "real":
        yield HubWorld(request.getfixturevalue("control_plane"), tmp_path)
    else:
        with Sandbox(port=0, ready_after=0.02) as sandbox:
            yield HubWorld(sandbox, tmp_path)
    kube.shutdown()


def replicas(world: HubWorld) -> int:
    found: int = world.get("Deployment", "api")["spec"]["replicas"]
    return found


def scaled_to_five(world: HubWorld) -> None:
    """An autoscaler that nobody manages takes over; on a real server its controller scales, here we do."""
    world.kube.create(SCALER | {"metadata": {"name": "api", "namespace": world.namespace}})
    if not world.real:
        world.kube.patch("apps/v1", "Deployment", "api", {"spec": {"replicas": 5}}, world.namespace, "scale")
    world.eventually(lambda: replicas(world) == 5)


def message(app: Any) -> str:
    return str(ResourceStatus.objects.get(application=app, kind="Deployment").message)


def test_e40_hpa_replicas_are_ignored(world: HubWorld) -> None:
    app = world.deployed({"api.yaml": DEPLOYMENT.format(tag=1)})
    assert (app.sync_status, replicas(world)) == ("Synced", 2)
    scaled_to_five(world)
    world.run(app)
    assert app.sync_status == "Synced"
    assert message(app) == f"replicas ignored: scaled by HorizontalPodAutoscaler {world.namespace}/api"
    world.change(app, {"api.yaml": DEPLOYMENT.format(tag=2)})
    assert app.sync_status == "OutOfSync"
    world.sync(app)
    world.run(app)
    assert (app.sync_status, app.operation_phase, replicas(world)) == ("Synced", "Succeeded", 5)
    container = world.get("Deployment", "api")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "example.com/api:2"
    world.kube.delete("autoscaling/v2", "HorizontalPodAutoscaler", "api", world.namespace)
    world.eventually(lambda: world.get("HorizontalPodAutoscaler", "api") is None)
    world.run(app)
    assert (app.sync_status, message(app)) == ("OutOfSync", "differs from Git")
    world.sync(app)
    world.run(app)
    assert (app.sync_status, replicas(world)) == ("Synced", 2)


def test_replicas_that_only_we_own_keep_their_live_value_under_a_new_autoscaler(world: HubWorld) -> None:
    """4.4: a solely owned field that is dropped would be defaulted to 1 by the server."""
    app = world.deployed({"api.yaml": DEPLOYMENT.format(tag=1)})
    quiet = {**SCALER["spec"], "minReplicas": 1}  # type: ignore[dict-item]
    world.kube.create({**SCALER, "spec": quiet, "metadata": {"name": "api", "namespace": world.namespace}})
    world.change(app, {"api.yaml": DEPLOYMENT.format(tag=2).replace("replicas: 2", "replicas: 3")})
    world.sync(app)
    world.run(app)
    assert (app.sync_status, replicas(world)) == ("Synced", 2)


def test_respect_autoscaler_false_writes_what_git_says(world: HubWorld) -> None:
    own = DEPLOYMENT.format(tag=1).replace(
        "{name: api}", '{name: api, annotations: {gitops-hub.io/respect-autoscaler: "false"}}'
    )
    app = world.deployed({"api.yaml": own})
    world.kube.patch("apps/v1", "Deployment", "api", {"spec": {"replicas": 5}}, world.namespace, "scale")
    quiet = {**SCALER["spec"], "minReplicas": 1}  # type: ignore[dict-item]
    world.kube.create({**SCALER, "spec": quiet, "metadata": {"name": "api", "namespace": world.namespace}})
    world.run(app)
    assert (app.sync_status, message(app)) == ("OutOfSync", "differs from Git")
    world.sync(app)
    world.run(app)
    assert (app.sync_status, replicas(world)) == ("Synced", 2)


@pytest.mark.parametrize(("options", "left"), [([], 2), (["RespectIgnoreDifferences=true"], 4)])
def test_e41_ignored_but_written(world: HubWorld, options: list[str], left: int) -> None:
    rules = [{"group": "apps", "kind": "Deployment", "json_pointers": ["/spec/replicas"]}]
    app = world.deployed(
        {"api.yaml": DEPLOYMENT.format(tag=1)},
        ignore_differences=rules,
        sync_policy={"sync_options": options},
    )
    world.kube.patch("apps/v1", "Deployment", "api", {"spec": {"replicas": 4}}, world.namespace)
    world.run(app)
    assert app.sync_status == "Synced"
    world.change(app, {"api.yaml": DEPLOYMENT.format(tag=2)})
    world.sync(app)
    world.run(app)
    assert (app.sync_status, replicas(world)) == ("Synced", left)


STACK = {
    "api.yaml": DEPLOYMENT.format(tag=1),
    "service.yaml": """apiVersion: v1
kind: Service
metadata: {name: api}
spec: {selector: {app: api}, ports: [{port: 80}]}
""",
    "secret.yaml": """apiVersion: v1
kind: Secret
metadata: {name: api}
stringData: {password: correct-horse}
""",
    "job.yaml": """apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: "example.com/job:1"}]}}}
""",
    "hook.yaml": """apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  annotations: {argocd.argoproj.io/hook: PreSync, argocd.argoproj.io/hook-delete-policy: BeforeHookCreation}
spec:
  template: {spec: {restartPolicy: Never, containers: [{name: main, image: "example.com/migrate:1"}]}}
""",
}


@pytest.fixture
def stack(world: HubWorld) -> Application:
    app = world.deployed(dict(STACK))
    world.run(app, until=lambda found: found.health_status == "Healthy", passes=400)
    return app


@pytest.fixture
def alice(world: HubWorld) -> Api:
    return Api(factories.user("alice", "owner", world.project))


@pytest.fixture
def bob(world: HubWorld) -> Api:
    return Api(factories.user("bob", "reader", world.project))


@pytest.fixture
def charlie(world: HubWorld) -> Api:
    return Api(factories.user("charlie", "owner", factories.project("bank")))


def at(app: Application, route: str, group: str, kind: str, name: str, **more: str) -> str:
    query = {"group": group, "kind": kind, "namespace": app.destination_namespace, "name": name, **more}
    return f"/applications/{app.name}/{route}?" + "&".join(f"{key}={value}" for key, value in query.items())


def nodes(api: Api, app: Application) -> dict[tuple[str, str], dict[str, Any]]:
    answer = api.get(f"/applications/{app.name}/tree")
    assert answer.status_code == 200, answer.content
    assert answer.json()["incomplete"] == []
    return {(node["kind"], node["name"]): node for node in answer.json()["nodes"]}


def pod_of(api: Api, app: Application) -> str:
    return next(name for kind, name in nodes(api, app) if kind == "Pod" and name.startswith("api-"))


def test_the_tree_shows_what_the_resources_brought_forth(
    world: HubWorld, stack: Application, bob: Api
) -> None:
    found = nodes(bob, stack)
    kinds = [kind for kind, _ in found]
    assert {kind: kinds.count(kind) for kind in ("Deployment", "ReplicaSet", "Pod", "Service")} == {
        "Deployment": 1,
        "ReplicaSet": 1,
        "Pod": 3,
        "Service": 1,
    }
    assert kinds.count("EndpointSlice") >= 1
    pod = found["Pod", pod_of(bob, stack)]
    assert [parent["kind"] for parent in pod["parents"]] == ["ReplicaSet"]
    assert (pod["managed"], pod["health"], pod["images"]) == (False, "Healthy", ["example.com/api:1"])
    deployment = found["Deployment", "api"]
    assert (deployment["managed"], deployment["status"], deployment["health"]) == (True, "Synced", "Healthy")
    assert deployment["info"]["Replicas"] == "2/2"
    assert len(found["Service", "api"]["targets"]) == 2
    hook = found["Job", "migrate"]
    assert (hook["managed"], hook["status"], hook["parents"]) == (True, "", [])


def test_a_large_tree_is_folded(world: HubWorld, stack: Application, bob: Api, monkeypatch: Any) -> None:
    from hub.services.live import growing

    monkeypatch.setattr(growing, "FOLD_FROM", 3)
    monkeypatch.setattr(
        growing, "fold", lambda tree, limit: __import__("clusters").core.tree.fold(tree, limit=limit, keep=1)
    )
    answer = bob.get(f"/applications/{stack.name}/tree").json()
    folds = [
        (each["kind"], each["count"], each["parent"]["kind"], each["health"]) for each in answer["folds"]
    ]
    assert folds == [("Pod", 2, "ReplicaSet", {"Healthy": 2})]
    assert not [node for node in answer["nodes"] if node["name"].startswith("api-") and node["kind"] == "Pod"]


def test_orphans_are_shown_where_the_project_looks_for_them(
    world: HubWorld, stack: Application, bob: Api
) -> None:
    path = f"/applications/{stack.name}/tree?orphans=true"
    assert bob.get(path).json()["code"] == "orphans_off"
    world.project.rules = {
        **world.project.rules,
        "orphans": {"enabled": True, "ignore": [{"kind": "Secret"}]},
    }
    world.project.save()
    for kind, name in (("ConfigMap", "left-behind"), ("Secret", "ignored")):
        metadata = {"name": name, "namespace": world.namespace}
        world.kube.create({"apiVersion": "v1", "kind": kind, "metadata": metadata})
    found = bob.get(path).json()["orphans"]
    assert [(key["kind"], key["name"]) for key in found] == [("ConfigMap", "left-behind")]


def test_c4_a_live_secret_is_masked(world: HubWorld, stack: Application, bob: Api) -> None:
    answer = bob.get(at(stack, "resource", "", "Secret", "api"))
    assert answer.status_code == 200, answer.content
    assert "correct-horse" not in answer.content.decode()
    assert "Y29ycmVjdC1ob3JzZQ==" not in answer.content.decode()  # the same in base64
    found = answer.json()
    assert (found["managed"], found["wanted"]) == (True, True)
    assert found["object"]["data"]["password"].startswith("++++")
    assert "managedFields" not in found["object"]["metadata"]


def test_c5_only_what_belongs_to_the_application_is_answered(
    world: HubWorld, stack: Application, alice: Api, charlie: Api
) -> None:
    metadata = {"name": "foreign", "namespace": world.namespace}
    world.kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"a": "b"}})
    pod = pod_of(alice, stack)
    assert alice.get(at(stack, "resource", "", "Pod", pod)).json()["managed"] is True
    foreign = alice.get(at(stack, "resource", "", "Secret", "foreign"))
    missing = alice.get(at(stack, "resource", "", "Secret", "nothing"))
    hidden = charlie.get(at(stack, "resource", "", "Pod", pod))
    assert [answer.status_code for answer in (foreign, missing, hidden)] == [404, 404, 404]
    assert foreign.content == missing.content
    for path in (
        at(stack, "resource", "", "Secret", "foreign", uid="x"),
        at(stack, "resource", "", "Namespace", world.namespace, uid="x"),
        at(stack, "resource", "", "Pod", "../../secrets/foreign", uid="x"),
    ):
        assert alice.delete(path).status_code == 404
    assert world.get("Secret", "foreign") is not None


def test_a_pod_is_deleted_by_its_uid_and_audited(
    world: HubWorld, stack: Application, alice: Api, bob: Api
) -> None:
    pod = pod_of(alice, stack)
    uid = world.get("Pod", pod)["metadata"]["uid"]
    assert alice.delete(at(stack, "resource", "", "Pod", pod)).status_code == 428
    assert alice.delete(at(stack, "resource", "", "Pod", pod, uid="other")).json()["code"] == "uid_differs"
    assert bob.delete(at(stack, "resource", "", "Pod", pod, uid=uid)).status_code == 403
    assert world.get("Pod", pod)["metadata"]["uid"] == uid
    answer = alice.delete(at(stack, "resource", "", "Pod", pod, uid=uid, propagation="background"))
    assert (answer.status_code, answer.json()["objects"][0]["name"]) == (202, pod)
    world.eventually(lambda: world.get("Pod", pod) is None)
    told = (
        AuditEvent.objects.filter(action="delete object").order_by("id").values_list("actor_name", "outcome")
    )
    assert list(told) == [("alice", "begun"), ("alice", "done")]
    stack.refresh_from_db()
    assert stack.look_level >= 1


def test_restart_scale_and_pause_are_not_taken_for_what_git_wants(
    world: HubWorld, stack: Application, alice: Api, bob: Api
) -> None:
    path = at(stack, "resource/actions", "apps", "Deployment", "api")
    offered = {each["name"]: each for each in bob.get(path).json()["items"]}
    assert list(offered) == ["restart", "pause", "resume", "scale"]
    assert offered["resume"]["disabled"] == "it is not paused"
    assert offered["scale"]["parameters"][0]["default"] == 2
    assert bob.post(path, {"action": "restart"}).status_code == 403
    assert alice.post(path, {"action": "resume"}).json()["code"] == "action_refused"
    assert alice.post(path, {"action": "explode"}).status_code == 422
    assert alice.post(path, {"action": "scale", "parameters": {"replicas": "3"}}).status_code == 422
    assert alice.post(path, {"verb": "restart"}).status_code == 422
    assert alice.post(path, {"action": "restart"}).status_code == 202
    template = world.get("Deployment", "api")["spec"]["template"]
    assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]
    world.run(stack)
    assert stack.sync_status == "Synced"
    assert alice.post(path, {"action": "scale", "parameters": {"replicas": 3}}).status_code == 202
    assert replicas(world) == 3
    world.run(stack)
    assert stack.sync_status == "OutOfSync"
    told = AuditEvent.objects.filter(action="action scale", outcome="done")
    assert [row.object_name for row in told] == [f"{stack.name} apps/Deployment/{world.namespace}/api"]


def test_a_cron_job_runs_now(world: HubWorld, stack: Application, alice: Api) -> None:
    path = at(stack, "resource/actions", "batch", "CronJob", "nightly")
    made = alice.post(path, {"action": "create-job"})
    assert made.status_code == 202, made.content
    job = made.json()["objects"][0]
    assert (job["kind"], job["namespace"]) == ("Job", world.namespace)
    assert world.get("Job", job["name"]) is not None
    assert [parent["name"] for parent in nodes(alice, stack)["Job", job["name"]]["parents"]] == ["nightly"]


def note(world: HubWorld, pod: dict[str, Any], reason: str) -> None:
    reference = {"kind": "Pod", "namespace": world.namespace, "name": pod["metadata"]["name"]}
    world.kube.create(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": reason.lower(), "namespace": world.namespace},
            "involvedObject": {**reference, "apiVersion": "v1", "uid": pod["metadata"]["uid"]},
            "reason": reason,
            "message": "somebody looked",
            "type": "Normal",
            "lastTimestamp": "2026-01-01T00:00:00Z",
        }
    )


def test_events_of_an_object(world: HubWorld, stack: Application, bob: Api, charlie: Api) -> None:
    pod = world.get("Pod", pod_of(bob, stack))
    note(world, pod, "Noted")
    path = at(stack, "resource/events", "", "Pod", pod["metadata"]["name"])
    assert "Noted" in [event["reason"] for event in bob.get(path).json()["items"]]
    assert charlie.get(path).status_code == 404


def test_events_of_an_object_are_streamed(world: HubWorld, stack: Application, bob: Api) -> None:
    pod = world.get("Pod", pod_of(bob, stack))
    note(world, pod, "Before")

    @async_to_sync
    async def read() -> str:
        client = AsyncClient()
        await sync_to_async(client.force_login)(await User.objects.aget(username="bob"))
        path = at(stack, "resource/events/stream", "", "Pod", pod["metadata"]["name"])
        answer = await client.get(f"/api/v1{path}")
        assert answer.status_code == 200
        said, noted = "", False
        async for chunk in answer.streaming_content:
            said += chunk.decode()
            if "Before" in said and not noted:
                noted = True
                await sync_to_async(note)(world, pod, "After")
            if "After" in said:
                break
        return said

    assert "somebody looked" in read()


def test_the_pod_of_a_hook_belongs_to_the_application(world: HubWorld, stack: Application, bob: Api) -> None:
    pod = next(name for kind, name in nodes(bob, stack) if kind == "Pod" and name.startswith("migrate-"))
    found = bob.get(at(stack, "resource", "", "Pod", pod)).json()
    assert (found["managed"], found["wanted"]) == (True, False)
    job = bob.get(at(stack, "resource", "batch", "Job", "migrate")).json()
    assert (job["managed"], job["wanted"]) == (True, True)


def test_b1_a_rule_that_is_taken_away_hides_the_objects(
    world: HubWorld, stack: Application, alice: Api
) -> None:
    pod = pod_of(alice, stack)
    world.project.rules = {
        **world.project.rules,
        "namespaced_kinds": {"deny": [{"group": "", "kind": "Secret"}]},
    }
    world.project.save()
    assert alice.get(at(stack, "resource", "", "Secret", "api")).status_code == 404
    assert alice.get(at(stack, "resource", "", "Pod", pod)).status_code == 200
    elsewhere = [{"name": "dev", "namespace": "elsewhere"}]
    world.project.rules = {**world.project.rules, "destinations": {"allow": elsewhere}}
    world.project.save()
    assert alice.get(at(stack, "resource", "", "Pod", pod)).status_code == 404
    assert alice.get(f"/applications/{stack.name}/tree").json()["nodes"] == []


def test_another_owner_s_object_is_shown_and_left_alone(world: HubWorld, alice: Api) -> None:
    """5.3: it is wanted by Git and lives already, under somebody else's hub."""
    taken = {"name": "api", "namespace": world.namespace, "labels": {"gitops-hub.io/managed-by": "another"}}
    world.kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": taken})
    app = world.deployed({"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: api}\ndata: {a: b}\n"})
    found = alice.get(at(app, "resource", "", "ConfigMap", "api")).json()
    assert (found["wanted"], found["managed"]) == (True, False)
    uid = found["object"]["metadata"]["uid"]
    refused = alice.delete(at(app, "resource", "", "ConfigMap", "api", uid=uid))
    assert (refused.status_code, refused.json()["code"]) == (409, "not_managed")
    assert world.get("ConfigMap", "api")["metadata"]["uid"] == uid


def test_the_log_of_a_pod_or_why_there_is_none(world: HubWorld, stack: Application, bob: Api) -> None:
    """The nodes of the real control plane are simulated and have no kubelet: its refusal comes through as ours."""
    pod = pod_of(bob, stack)

    @async_to_sync
    async def read() -> tuple[int, Any]:
        client = AsyncClient()
        await sync_to_async(client.force_login)(await User.objects.aget(username="bob"))
        path = f"/api/v1/applications/{stack.name}/logs?namespace={world.namespace}&pod={pod}&tail=10"
        answer = await client.get(path)
        if not answer.streaming:
            return answer.status_code, answer.json()["code"]
        return answer.status_code, b"".join([chunk async for chunk in answer.streaming_content])

    if world.real:
        assert read() == (503, "unavailable")
    else:
        assert read() == (200, f"simulated pod {world.namespace}/{pod}\n".encode())
