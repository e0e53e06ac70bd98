"""What controllers do after a write: rollouts, Jobs, namespaces; and dry runs, tokens, discovery (C10, C11, C13)."""

from __future__ import annotations

from typing import Any

from tests.live.contract.client import Api, Body, condition, entry, eventually

ACCEPT = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}


def workload(
    kind: str = "Deployment", name: str = "d", marks: dict[str, str] | None = None, **spec: Any
) -> Body:
    template = {
        "metadata": {"labels": {"app": name}, "annotations": marks or {}},
        "spec": {"containers": [{"name": "c", "image": "nginx:1"}]},
    }
    held = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template, **spec}
    if kind == "StatefulSet":
        held["serviceName"] = name
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": held}


def job(marks: dict[str, str] | None = None, **spec: Any) -> Body:
    template = {
        "metadata": {"annotations": marks or {}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x:1"}]},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {"template": template, **spec},
    }


def config(name: str = "c") -> Body:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}}


def ready(obj: Body) -> bool:
    status, replicas = obj.get("status") or {}, obj["spec"]["replicas"]
    observed = status.get("observedGeneration") == obj["metadata"]["generation"]
    full = all(status.get(f, 0) == replicas for f in ("replicas", "readyReplicas", "updatedReplicas"))
    return bool(observed and full)


def when(api: Api, obj: Body, test: Any) -> Body:
    """The live object once `test` holds for it."""
    found: Body = eventually(
        lambda: (lambda o: o if test(o) else None)(api.live(obj)), 40, str(obj["metadata"])
    )
    return found


def test_a_deployment_becomes_available(api: Api) -> None:
    api.applied(workload())
    done = when(api, workload(), ready)
    assert condition(done, "Available")["status"] == "True"
    done = when(
        api, workload(), lambda o: condition(o, "Progressing").get("reason") == "NewReplicaSetAvailable"
    )
    assert done["status"]["availableReplicas"] == 2
    assert done["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert done["metadata"]["generation"] == 1


def test_a_new_template_is_a_new_replica_set(api: Api) -> None:
    api.applied(workload())
    when(api, workload(), ready)
    body = workload()
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:2"
    assert api.applied(body)["metadata"]["generation"] == 2
    done = when(api, body, lambda o: ready(o) and "2" in o["metadata"]["annotations"].values())
    assert done["status"]["observedGeneration"] == 2
    sets = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {}}
    held = eventually(
        lambda: (lambda items: items if sorted(s["spec"]["replicas"] for s in items) == [0, 2] else None)(
            api.list(sets, labelSelector="app=d").body["items"]
        )
    )
    assert all(s["metadata"]["ownerReferences"][0]["kind"] == "Deployment" for s in held)


def test_scaling_down_and_up(api: Api) -> None:
    api.applied(workload())
    when(api, workload(), ready)
    api.applied(workload(replicas=0))
    done = when(
        api,
        workload(),
        lambda o: o["status"].get("observedGeneration") == 2 and "replicas" not in o["status"],
    )
    assert "readyReplicas" not in done["status"]
    api.applied(workload(replicas=1))
    assert when(api, workload(), ready)["status"]["readyReplicas"] == 1


def test_c10_a_rollout_that_never_gets_ready_exceeds_its_deadline(api: Api) -> None:
    body = workload(marks={"sim/not-ready": "true"}, progressDeadlineSeconds=1)
    api.applied(body)
    done = when(api, body, lambda o: condition(o, "Progressing").get("reason") == "ProgressDeadlineExceeded")
    assert condition(done, "Progressing")["status"] == "False"
    assert condition(done, "Available")["status"] == "False"


def test_a_pod_that_waits_says_why(api: Api) -> None:
    api.applied(workload(marks={"sim/waiting": "ImagePullBackOff"}, replicas=1))
    pods = {"apiVersion": "v1", "kind": "Pod", "metadata": {}}

    def waiting() -> Body | None:
        for pod in api.list(pods, labelSelector="app=d").body["items"]:
            for status in pod.get("status", {}).get("containerStatuses") or ():
                if status["state"].get("waiting"):
                    return pod
        return None

    pod = eventually(waiting)
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
    assert condition(pod, "Ready")["status"] == "False"


def test_a_stateful_set_names_its_pods(api: Api) -> None:
    body = workload("StatefulSet", "s")
    api.applied(body)
    done = when(api, body, ready)
    pods = api.list({"apiVersion": "v1", "kind": "Pod", "metadata": {}}, labelSelector="app=s").body["items"]
    assert sorted(p["metadata"]["name"] for p in pods) == ["s-0", "s-1"]
    settled = when(
        api, body, lambda o: o["status"].get("currentRevision") == o["status"].get("updateRevision")
    )
    assert settled["status"]["observedGeneration"] == done["metadata"]["generation"]


def test_a_daemon_set_runs_on_every_node(api: Api) -> None:
    body = workload("DaemonSet", "ds")
    del body["spec"]["replicas"]
    api.applied(body)
    done = when(api, body, lambda o: o["status"]["numberReady"] == o["status"]["desiredNumberScheduled"] == 1)
    assert done["status"]["observedGeneration"] == 1
    assert when(api, body, lambda o: o["status"].get("updatedNumberScheduled") == 1)


def test_a_job_completes_in_two_steps(api: Api) -> None:
    assert api.create(job()).status == 201
    done = when(api, job(), lambda o: condition(o, "Complete"))
    assert condition(done, "Complete")["status"] == "True"
    assert condition(done, "SuccessCriteriaMet")["status"] == "True"
    assert done["status"]["succeeded"] == 1
    assert done["status"]["completionTime"]
    assert entry(done, "kube-controller-manager", "Update", "status") is not None


def test_a_job_that_fails_says_so(api: Api) -> None:
    body = job({"sim/exit-code": "3", "sim/message": "boom"}, backoffLimit=0)
    api.create(body)
    done = when(api, body, lambda o: condition(o, "Failed"))
    assert condition(done, "Failed")["reason"] == "BackoffLimitExceeded"
    assert condition(done, "FailureTarget")["status"] == "True"
    assert done["status"]["failed"] == 1
    pods = api.list({"apiVersion": "v1", "kind": "Pod", "metadata": {}}, labelSelector="job-name=j").body[
        "items"
    ]
    ended = pods[0]["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (3, "boom")


def test_a_suspended_job_waits_and_runs_when_resumed(api: Api) -> None:
    api.applied(job(suspend=True))
    held = when(api, job(), lambda o: condition(o, "Suspended"))
    assert condition(held, "Suspended")["status"] == "True"
    api.applied(job(suspend=False))
    assert condition(when(api, job(), lambda o: condition(o, "Complete")), "Complete")["status"] == "True"


def test_a_job_runs_as_long_as_its_pod(api: Api) -> None:
    body = job({"sim/ends-after": "1h"}, activeDeadlineSeconds=1)
    api.create(body)
    running = when(api, body, lambda o: (o.get("status") or {}).get("active") == 1)
    assert condition(running, "Complete") == {}
    done = when(api, body, lambda o: condition(o, "Failed"))
    assert condition(done, "Failed")["reason"] == "DeadlineExceeded"


def test_a_new_namespace_has_an_account_and_certificates(api: Api) -> None:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": api.namespace}}
    live = api.live(space)
    assert live["status"]["phase"] == "Active"
    assert live["metadata"]["labels"]["kubernetes.io/metadata.name"] == api.namespace
    assert live["spec"]["finalizers"] == ["kubernetes"]
    eventually(lambda: api.get(config("kube-root-ca.crt")).status == 200)


def test_a_service_gets_a_slice_with_its_labels(api: Api) -> None:
    metadata = {"name": "s", "labels": {"gitops-hub.io/managed-by": "hub"}}
    spec = {"selector": {"app": "s"}, "ports": [{"port": 80}]}
    api.applied({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    slices = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {}}
    selector = "kubernetes.io/service-name=s"
    found = eventually(lambda: api.list(slices, labelSelector=selector).body["items"])
    assert found[0]["metadata"]["labels"]["gitops-hub.io/managed-by"] == "hub"


def test_c11_a_dry_run_of_a_creation_stores_nothing(api: Api) -> None:
    answer = api.apply(config(), dryRun="All")
    assert answer.status == 201
    assert answer.body["metadata"]["uid"]
    assert "resourceVersion" not in answer.body["metadata"]
    assert api.get(config()).status == 404


def test_c11_a_dry_run_of_a_change_shows_it_with_the_live_version(api: Api) -> None:
    first = api.applied(config())
    answer = api.apply(config() | {"data": {"a": "2"}}, dryRun="All")
    assert answer.status == 200
    assert answer.body["data"] == {"a": "2"}
    assert answer.rv == first["metadata"]["resourceVersion"]
    assert api.live(config())["data"] == {"a": "1"}


def test_c11_a_dry_run_of_a_service_has_a_placeholder_address(api: Api) -> None:
    spec = {"selector": {"app": "s"}, "ports": [{"port": 80}]}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}
    assert api.apply(body, dryRun="All").body["spec"]["clusterIP"] == "10.96.0.0"


def test_c11_a_dry_run_needs_the_namespace_and_the_kind(api: Api) -> None:
    body = config()
    body["metadata"]["namespace"] = f"{api.namespace}-absent"
    assert api.apply(body, dryRun="All").status == 404
    headers = {"Content-Type": "application/apply-patch+yaml"}
    path = f"/apis/nope.example.com/v1/namespaces/{api.namespace}/things/x"
    assert api.request("PATCH", path, {}, headers=headers, fieldManager="x", dryRun="All").status == 404


def test_aggregated_discovery_names_every_kind_and_costs_nothing_twice(api: Api) -> None:
    core = api.request("GET", "/api", headers=ACCEPT)
    assert core.headers["content-type"].startswith("application/json;g=apidiscovery.k8s.io;v=v2")
    assert core.body["kind"] == "APIGroupDiscoveryList"
    resources = core.body["items"][0]["versions"][0]["resources"]
    pods = next(r for r in resources if r["resource"] == "pods")
    assert pods["scope"] == "Namespaced"
    assert pods["responseKind"] == {"group": "", "kind": "Pod", "version": ""}
    assert {"list", "watch", "patch"} <= set(pods["verbs"])
    assert "log" in {s["subresource"] for s in pods["subresources"]}
    groups = api.request("GET", "/apis", headers=ACCEPT)
    apps = next(g for g in groups.body["items"] if g["metadata"]["name"] == "apps")
    assert apps["versions"][0]["freshness"] == "Current"
    again = api.request("GET", "/apis", headers={**ACCEPT, "If-None-Match": groups.headers["etag"]})
    assert again.status == 304
    assert again.text == ""


def test_the_served_groups_versions_and_kinds_are_the_same(api: Api) -> None:
    groups = api.request("GET", "/apis", headers=ACCEPT).body["items"]
    found = {
        (group["metadata"]["name"], version["version"], resource["resource"])
        for group in groups
        for version in group["versions"]
        for resource in version["resources"]
    }
    wanted = {
        ("apps", "v1", "deployments"),
        ("autoscaling", "v1", "horizontalpodautoscalers"),
        ("autoscaling", "v2", "horizontalpodautoscalers"),
        ("batch", "v1", "cronjobs"),
        ("networking.k8s.io", "v1", "ingresses"),
        ("policy", "v1", "poddisruptionbudgets"),
        ("rbac.authorization.k8s.io", "v1", "clusterroles"),
        ("storage.k8s.io", "v1", "storageclasses"),
        ("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
        ("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations"),
    }
    assert wanted <= found
    autoscaling = next(g for g in groups if g["metadata"]["name"] == "autoscaling")
    assert [v["version"] for v in autoscaling["versions"]] == ["v2", "v1"]


def test_older_discovery_is_there_for_older_clients(api: Api) -> None:
    assert api.request("GET", "/api").body["versions"] == ["v1"]
    groups = api.request("GET", "/apis").body
    assert groups["kind"] == "APIGroupList"
    apps = api.request("GET", "/apis/apps/v1").body
    assert apps["kind"] == "APIResourceList"
    assert {"deployments", "deployments/scale", "deployments/status"} <= {
        r["name"] for r in apps["resources"]
    }


def test_version_and_readiness(api: Api) -> None:
    assert api.request("GET", "/version").body["minor"] == "36"
    assert api.request("GET", "/readyz").text == "ok"


def test_a_token_of_an_account_opens_the_door(api: Api) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 3600},
    }
    answer = api.request("POST", api.path(account, sub="token"), request)
    assert answer.status == 201
    assert answer.body["status"]["expirationTimestamp"]
    holder = Api(api.sort, api.url, answer.body["status"]["token"], api.ca_pem, api.namespace)
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    who = holder.request("POST", path, body)
    assert who.status == 201
    assert who.body["status"]["userInfo"]["username"] == f"system:serviceaccount:{api.namespace}:default"


def test_an_access_review_tells_what_is_allowed(api: Api) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    spec = {"resourceAttributes": {"verb": "list", "resource": "pods"}}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
    answer = api.request("POST", path, body)
    assert answer.status == 201
    assert answer.body["status"]["allowed"] is True


def test_the_scale_of_a_deployment(api: Api) -> None:
    api.applied(workload(replicas=1))
    path = api.path(workload(), sub="scale")
    scale = api.request("GET", path).body
    assert scale["kind"] == "Scale"
    assert scale["spec"] == {"replicas": 1}
    scale["spec"]["replicas"] = 2
    del scale["metadata"]["resourceVersion"]
    assert api.request("PUT", path, scale).status == 200
    assert api.live(workload())["spec"]["replicas"] == 2


def test_a_put_of_the_same_scale_takes_nothing(api: Api) -> None:
    api.applied(workload(replicas=1))
    path = api.path(workload(), sub="scale")
    scale = api.request("GET", path).body
    del scale["metadata"]["resourceVersion"]
    assert api.request("PUT", path, scale, fieldManager="scaler").status == 200
    assert entry(api.live(workload()), "scaler") is None
