"""The values a server fills in where a manifest is silent, for the kinds people deploy.

Each function gets an object of its own and changes it in place. Source: Kubernetes 1.36 as seen by the contract suite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Manifest = dict[str, Any]


def fill(target: Manifest, **values: Any) -> None:
    """Set each field that is absent or an empty text."""
    for name, value in values.items():
        if target.get(name) in (None, ""):
            target[name] = value


def pod_spec(spec: Manifest) -> None:
    fill(
        spec,
        restartPolicy="Always",
        dnsPolicy="ClusterFirst",
        terminationGracePeriodSeconds=30,
        securityContext={},
        schedulerName="default-scheduler",
    )
    if spec.get("serviceAccountName"):
        fill(spec, serviceAccount=spec["serviceAccountName"])
    elif spec.get("serviceAccount"):
        fill(spec, serviceAccountName=spec["serviceAccount"])
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        _container(container, host_network=bool(spec.get("hostNetwork")))
    for volume in spec.get("volumes") or ():
        _volume(volume)


def _container(container: Manifest, *, host_network: bool) -> None:
    image = container.get("image") or ""
    latest = ":" not in image.rpartition("/")[2] or image.endswith(":latest")
    pull = "Always" if latest and "@" not in image else "IfNotPresent"
    fill(
        container,
        imagePullPolicy=pull,
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        resources={},
    )
    for port in container.get("ports") or ():
        fill(port, protocol="TCP")
        if host_network and port.get("containerPort"):
            fill(port, hostPort=port["containerPort"])
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name):
            _probe(container[name])
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference:
            fill(reference, apiVersion="v1")
    limits = container["resources"].get("limits")
    if limits:
        requests = container["resources"].setdefault("requests", {})
        for name, value in limits.items():
            requests.setdefault(name, value)
    for handler in (container.get("lifecycle") or {}).values():
        if isinstance(handler, dict) and handler.get("httpGet"):
            fill(handler["httpGet"], path="/", scheme="HTTP")


def _probe(probe: Manifest) -> None:
    fill(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    if probe.get("httpGet"):
        fill(probe["httpGet"], path="/", scheme="HTTP")
    if probe.get("grpc"):
        fill(probe["grpc"], service="")


def _volume(volume: Manifest) -> None:
    for name in ("configMap", "secret"):
        if volume.get(name) is not None:
            fill(volume[name], defaultMode=420)
    if volume.get("hostPath") is not None:
        fill(volume["hostPath"], type="")
    if volume.get("projected") is not None:
        fill(volume["projected"], defaultMode=420)
        for source in volume["projected"].get("sources") or ():
            if source.get("serviceAccountToken"):
                fill(source["serviceAccountToken"], expirationSeconds=3600)
    if volume.get("downwardAPI") is not None:
        fill(volume["downwardAPI"], defaultMode=420)
        for item in volume["downwardAPI"].get("items") or ():
            if item.get("fieldRef"):
                fill(item["fieldRef"], apiVersion="v1")
    if volume.keys() <= {"name"}:
        volume["emptyDir"] = {}


def _template(spec: Manifest) -> None:
    template = spec.get("template")
    if template is not None:
        template.setdefault("metadata", {})
        pod_spec(template.setdefault("spec", {}))


def _deployment(obj: Manifest) -> None:
    spec = obj["spec"]
    fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec.setdefault("strategy", {})
    fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(strategy, rollingUpdate={})
        fill(strategy["rollingUpdate"], maxUnavailable="25%", maxSurge="25%")
    _template(spec)


def _stateful_set(obj: Manifest) -> None:
    spec = obj["spec"]
    fill(spec, replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady")
    strategy = spec.setdefault("updateStrategy", {})
    fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(strategy, rollingUpdate={})
        fill(strategy["rollingUpdate"], partition=0)
    policy = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    fill(policy, whenDeleted="Retain", whenScaled="Retain")
    _template(spec)
    for claim in spec.get("volumeClaimTemplates") or ():
        fill(claim, apiVersion="v1", kind="PersistentVolumeClaim")
        fill(claim.setdefault("spec", {}), volumeMode="Filesystem")
        fill(claim.setdefault("status", {}), phase="Pending")


def _daemon_set(obj: Manifest) -> None:
    spec = obj["spec"]
    fill(spec, revisionHistoryLimit=10)
    strategy = spec.setdefault("updateStrategy", {})
    fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(strategy, rollingUpdate={})
        fill(strategy["rollingUpdate"], maxUnavailable=1, maxSurge=0)
    _template(spec)
    obj["metadata"].setdefault("annotations", {}).setdefault("deprecated.daemonset.template.generation", "1")
    obj["status"] = {
        "currentNumberScheduled": 0,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 0,
        "numberReady": 0,
        **(obj.get("status") or {}),
    }


def _replica_set(obj: Manifest) -> None:
    fill(obj["spec"], replicas=1)
    _template(obj["spec"])
    fill(obj.setdefault("status", {}), replicas=0)


def _job_spec(spec: Manifest) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        fill(spec, completions=1)
    fill(
        spec,
        parallelism=1,
        backoffLimit=6,
        completionMode="NonIndexed",
        suspend=False,
        podReplacementPolicy="TerminatingOrFailed",
        manualSelector=False,
    )
    _template(spec)


def _job(obj: Manifest) -> None:
    _job_spec(obj["spec"])


def _endpoint_slice(obj: Manifest) -> None:
    for port in obj.get("ports") or ():
        fill(port, name="", protocol="TCP")


def _priority_class(obj: Manifest) -> None:
    fill(obj, preemptionPolicy="PreemptLowerPriority")


def _cron_job(obj: Manifest) -> None:
    spec = obj["spec"]
    fill(
        spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1
    )
    template = spec.setdefault("jobTemplate", {})
    template.setdefault("metadata", {})
    inner = template.setdefault("spec", {})
    _template(inner)


def _service(obj: Manifest) -> None:
    spec = obj["spec"]
    fill(spec, type="ClusterIP", sessionAffinity="None", internalTrafficPolicy="Cluster")
    if spec["type"] == "ExternalName":
        spec.pop("internalTrafficPolicy", None)
    for port in spec.get("ports") or ():
        fill(port, protocol="TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port["port"]
    if spec["type"] in ("NodePort", "LoadBalancer"):
        fill(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        fill(spec, allocateLoadBalancerNodePorts=True)
    if spec["sessionAffinity"] == "ClientIP":
        fill(spec, sessionAffinityConfig={"clientIP": {"timeoutSeconds": 10800}})
    fill(obj.setdefault("status", {}), loadBalancer={})


def _pod(obj: Manifest) -> None:
    pod_spec(obj["spec"])
    fill(obj["spec"], enableServiceLinks=True, preemptionPolicy="PreemptLowerPriority", priority=0)
    obj["spec"].setdefault(
        "tolerations",
        [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
        ],
    )
    status = obj.setdefault("status", {})
    fill(status, phase="Pending", qosClass=_qos(obj["spec"]))


def _qos(spec: Manifest) -> str:
    resources = [c.get("resources") or {} for c in spec.get("containers") or ()]
    if not any(r.get("requests") or r.get("limits") for r in resources):
        return "BestEffort"
    if all(
        r.get("limits") and r.get("limits") == r.get("requests") and len(r["limits"]) > 1 for r in resources
    ):
        return "Guaranteed"
    return "Burstable"


def _claim(obj: Manifest) -> None:
    fill(obj["spec"], volumeMode="Filesystem")
    fill(obj.setdefault("status", {}), phase="Pending")


def _volume_object(obj: Manifest) -> None:
    fill(obj["spec"], volumeMode="Filesystem", persistentVolumeReclaimPolicy="Retain")
    fill(obj.setdefault("status", {}), phase="Pending")
    if obj["spec"].get("hostPath") is not None:
        fill(obj["spec"]["hostPath"], type="")


def _secret(obj: Manifest) -> None:
    fill(obj, type="Opaque")


def _namespace(obj: Manifest) -> None:
    fill(obj["spec"], finalizers=["kubernetes"])
    fill(obj.setdefault("status", {}), phase="Active")
    obj["metadata"].setdefault("labels", {}).setdefault(
        "kubernetes.io/metadata.name", obj["metadata"]["name"]
    )


def _storage_class(obj: Manifest) -> None:
    fill(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def _role_binding(obj: Manifest) -> None:
    fill(obj["roleRef"], apiGroup="rbac.authorization.k8s.io")
    for subject in obj.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            fill(subject, apiGroup="rbac.authorization.k8s.io")


def _autoscaler(obj: Manifest) -> None:
    spec = obj["spec"]
    fill(spec, minReplicas=1)
    if not spec.get("metrics") and obj["apiVersion"].endswith("v2"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    status = obj.setdefault("status", {})
    fill(status, desiredReplicas=0)
    status.setdefault("currentMetrics", None)


def _ingress_status(obj: Manifest) -> None:
    fill(obj.setdefault("status", {}), loadBalancer={})


def _network_policy(obj: Manifest) -> None:
    spec = obj["spec"]
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    for rule in [*(spec.get("ingress") or ()), *(spec.get("egress") or ())]:
        for port in rule.get("ports") or ():
            fill(port, protocol="TCP")


def _crd(obj: Manifest) -> None:
    spec = obj["spec"]
    names = spec.get("names") or {}
    if names.get("kind"):
        fill(names, singular=names["kind"].lower(), listKind=names["kind"] + "List")
    fill(spec, conversion={"strategy": "None"})


def _api_service(obj: Manifest) -> None:
    if (obj["spec"] or {}).get("service"):
        fill(obj["spec"]["service"], port=443)


def _webhooks(obj: Manifest) -> None:
    mutating = obj["kind"] == "MutatingWebhookConfiguration"
    for hook in obj.get("webhooks") or ():
        fill(hook, failurePolicy="Fail", matchPolicy="Equivalent", timeoutSeconds=10)
        fill(hook, namespaceSelector={}, objectSelector={})
        if mutating:
            fill(hook, reinvocationPolicy="Never")
        if (hook.get("clientConfig") or {}).get("service"):
            fill(hook["clientConfig"]["service"], port=443)
        for rule in hook.get("rules") or ():
            fill(rule, scope="*")


def _budget_status(obj: Manifest) -> None:
    fields = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    fill(obj.setdefault("status", {}), **dict.fromkeys(fields, 0))


DEFAULTERS: dict[tuple[str, str], Callable[[Manifest], None]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "ReplicaSet"): _replica_set,
    ("batch", "Job"): _job,
    ("batch", "CronJob"): _cron_job,
    ("", "Service"): _service,
    ("", "Pod"): _pod,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "PersistentVolume"): _volume_object,
    ("", "Secret"): _secret,
    ("", "Namespace"): _namespace,
    ("storage.k8s.io", "StorageClass"): _storage_class,
    ("rbac.authorization.k8s.io", "RoleBinding"): _role_binding,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _role_binding,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("networking.k8s.io", "Ingress"): _ingress_status,
    ("networking.k8s.io", "NetworkPolicy"): _network_policy,
    ("discovery.k8s.io", "EndpointSlice"): _endpoint_slice,
    ("scheduling.k8s.io", "PriorityClass"): _priority_class,
    ("policy", "PodDisruptionBudget"): _budget_status,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _crd,
    ("apiregistration.k8s.io", "APIService"): _api_service,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _webhooks,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _webhooks,
}
