"""The types of built-in kinds, as data: list-map keys, atomic maps, quantities, and the defaults that lists hide.

From the published OpenAPI schema of Kubernetes (x-kubernetes-list-type, -list-map-keys, -map-type). Only what differs
from "unknown maps are granular, unknown lists atomic" stands here. Defaults are listed where a whole list is compared;
in granular maps a default that the target leaves out is nobody's business.
"""

from __future__ import annotations

from clusters.core.diff.types import (
    ALLOCATED,
    ANY,
    DURATION,
    QUANTITIES,
    QUANTITY,
    TIME,
    Type,
    atomic,
    keyed,
    listed,
    scalars_only,
    struct,
)

META = struct(finalizers=Type("set"), ownerReferences=keyed("uid"))
OBJECT = struct(metadata=META)
SELECTOR = atomic()

_FIELD_REF = atomic(struct({"apiVersion": "v1"}))
_RESOURCE_FIELD_REF = atomic(struct({"divisor": "0"}, divisor=QUANTITY))
_RESOURCES = struct(limits=QUANTITIES, requests=QUANTITIES, claims=keyed("name"))
_HTTP_GET = struct({"scheme": "HTTP"})
_PROBE = struct(
    {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
    "initialDelaySeconds",
    httpGet=_HTTP_GET,
    grpc=struct({"service": ""}),
)
_ENV = struct(
    None,
    "value",
    valueFrom=struct(
        fieldRef=_FIELD_REF,
        resourceFieldRef=_RESOURCE_FIELD_REF,
        configMapKeyRef=atomic(),
        secretKeyRef=atomic(),
    ),
)
_CONTAINER = struct(
    {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"},
    "stdin stdinOnce tty workingDir",
    ports=keyed("containerPort", "protocol", of=struct({"protocol": "TCP"}, "hostPort name"), protocol="TCP"),
    env=keyed("name", of=_ENV),
    volumeMounts=keyed("mountPath", of=struct(None, "readOnly subPath")),
    volumeDevices=keyed("devicePath"),
    resources=_RESOURCES,
    livenessProbe=_PROBE,
    readinessProbe=_PROBE,
    startupProbe=_PROBE,
)
_DOWNWARD = listed(struct(fieldRef=_FIELD_REF, resourceFieldRef=_RESOURCE_FIELD_REF))
_VOLUME = struct(
    emptyDir=struct(sizeLimit=QUANTITY),
    downwardAPI=struct({"defaultMode": 420}, items=_DOWNWARD),
    hostPath=struct({"type": ""}),
    projected=struct(
        {"defaultMode": 420},
        sources=listed(
            struct(
                downwardAPI=struct(items=_DOWNWARD), serviceAccountToken=struct({"expirationSeconds": 3600})
            )
        ),
    ),
    ephemeral=struct(
        volumeClaimTemplate=struct(spec=struct({"volumeMode": "Filesystem"}, resources=_RESOURCES))
    ),
)
POD_SPEC = struct(
    {
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "terminationGracePeriodSeconds": 30,
        "securityContext": {},
        "enableServiceLinks": True,
    },
    "hostNetwork hostPID hostIPC nodeName hostname subdomain serviceAccountName",
    containers=keyed("name", of=_CONTAINER),
    initContainers=keyed("name", of=_CONTAINER),
    ephemeralContainers=keyed("name", of=_CONTAINER),
    volumes=keyed("name", of=_VOLUME),
    imagePullSecrets=keyed("name", of=atomic()),
    hostAliases=keyed("ip"),
    topologySpreadConstraints=keyed("topologyKey", "whenUnsatisfiable", of=struct(labelSelector=SELECTOR)),
    resourceClaims=keyed("name"),
    schedulingGates=keyed("name"),
    nodeSelector=atomic(),
    overhead=QUANTITIES,
)
POD_TEMPLATE = struct(metadata=META, spec=POD_SPEC)
_PVC_SPEC = struct(
    {"volumeMode": "Filesystem"},
    resources=_RESOURCES,
    selector=SELECTOR,
    dataSource=atomic(),
    dataSourceRef=ANY,
)
_CLAIM = struct(
    None,
    "",
    "status apiVersion kind",
    metadata=struct(None, "", "creationTimestamp"),
    spec=struct(None, "", "volumeMode", resources=_RESOURCES, selector=SELECTOR),
)
_WORKLOAD = struct(None, "minReadySeconds paused", selector=SELECTOR, template=POD_TEMPLATE)
_JOB_SPEC = struct(
    None,
    "activeDeadlineSeconds",
    selector=SELECTOR,
    template=POD_TEMPLATE,
    podFailurePolicy=struct(rules=listed(struct(onPodConditions=listed(struct({"status": "True"}))))),
)
_NET_PORTS = listed(struct({"protocol": "TCP"}))
_WEBHOOK = struct(
    rules=listed(struct({"scope": "*"})),
    matchConditions=keyed("name"),
    namespaceSelector=SELECTOR,
    objectSelector=SELECTOR,
)
_WEBHOOKS = struct(metadata=META, webhooks=keyed("name", of=_WEBHOOK))
_MATCH = atomic(
    struct(
        {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}},
        namespaceSelector=SELECTOR,
        objectSelector=SELECTOR,
        resourceRules=listed(struct({"scope": "*"})),
    )
)
_RBAC = "rbac.authorization.k8s.io"
_SUBJECTS = listed(atomic(struct({"apiGroup": _RBAC}, "namespace apiGroup")))
_BINDING = struct(metadata=META, subjects=_SUBJECTS, roleRef=atomic(struct({"apiGroup": _RBAC})))
_METRIC_VALUE = struct(value=QUANTITY, averageValue=QUANTITY)
_METRIC = struct(
    **{
        source: struct(target=_METRIC_VALUE, metric=struct(selector=SELECTOR), describedObject=ANY)
        for source in ("resource", "pods", "object", "external", "containerResource")
    }
)
_CLAIM_SPEC = struct(
    devices=struct(
        requests=listed(
            struct(
                exactly=struct({"allocationMode": "ExactCount", "count": 1}, "adminAccess"),
                firstAvailable=listed(struct({"allocationMode": "ExactCount", "count": 1})),
            )
        )
    )
)
_ENDPOINT_PORTS = listed(struct({"protocol": "TCP"}, "name"))


def _of(spec: Type) -> Type:
    return struct(metadata=META, spec=spec)


KINDS: dict[tuple[str, str], Type] = {
    ("", "Pod"): _of(POD_SPEC),
    ("", "PodTemplate"): struct(metadata=META, template=POD_TEMPLATE),
    ("", "ReplicationController"): _of(struct(selector=atomic(), template=POD_TEMPLATE)),
    ("apps", "Deployment"): _of(_WORKLOAD),
    ("apps", "ReplicaSet"): _of(_WORKLOAD),
    ("apps", "DaemonSet"): _of(_WORKLOAD),
    ("apps", "StatefulSet"): _of(
        struct(
            None,
            "minReadySeconds serviceName",
            selector=SELECTOR,
            template=POD_TEMPLATE,
            volumeClaimTemplates=listed(_CLAIM),
        )
    ),
    ("batch", "Job"): _of(_JOB_SPEC),
    ("batch", "CronJob"): _of(struct(jobTemplate=struct(metadata=META, spec=_JOB_SPEC))),
    ("", "Service"): _of(
        struct(
            None,
            "publishNotReadyAddresses externalName loadBalancerIP",
            ports=keyed(
                "port",
                "protocol",
                of=struct({"protocol": "TCP"}, "name nodePort", nodePort=ALLOCATED),
                protocol="TCP",
            ),
            selector=atomic(),
        )
    ),
    ("", "ServiceAccount"): struct(metadata=META, secrets=keyed("name", of=atomic())),
    ("", "PersistentVolumeClaim"): _of(_PVC_SPEC),
    ("", "PersistentVolume"): _of(struct(capacity=QUANTITIES, claimRef=atomic())),
    ("", "ResourceQuota"): _of(struct(hard=QUANTITIES, scopeSelector=atomic())),
    ("", "LimitRange"): _of(
        struct(
            limits=listed(
                struct(
                    **dict.fromkeys(
                        ("default", "defaultRequest", "max", "min", "maxLimitRequestRatio"), QUANTITIES
                    )
                )
            )
        )
    ),
    ("", "Endpoints"): struct(metadata=META, subsets=listed(struct(ports=_ENDPOINT_PORTS))),
    ("", "Node"): _of(struct(podCIDRs=Type("set"))),
    ("discovery.k8s.io", "EndpointSlice"): struct(metadata=META, ports=_ENDPOINT_PORTS),
    ("networking.k8s.io", "NetworkPolicy"): _of(
        struct(
            podSelector=SELECTOR,
            ingress=listed(struct(ports=_NET_PORTS)),
            egress=listed(struct(ports=_NET_PORTS)),
        )
    ),
    ("networking.k8s.io", "Ingress"): _of(
        struct(defaultBackend=struct(resource=atomic(), service=struct(port=atomic())))
    ),
    ("networking.k8s.io", "IngressClass"): _of(struct(parameters=ANY)),
    ("policy", "PodDisruptionBudget"): _of(struct(selector=SELECTOR)),
    ("autoscaling", "HorizontalPodAutoscaler"): _of(struct(metrics=listed(_METRIC), scaleTargetRef=ANY)),
    ("rbac.authorization.k8s.io", "RoleBinding"): _BINDING,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _BINDING,
    ("rbac.authorization.k8s.io", "ClusterRole"): struct(
        metadata=META, aggregationRule=struct(clusterRoleSelectors=listed(SELECTOR))
    ),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _WEBHOOKS,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _WEBHOOKS,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): _of(
        struct(
            matchConditions=keyed("name"),
            variables=keyed("name", of=atomic()),
            matchConstraints=_MATCH,
            paramKind=atomic(),
        )
    ),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): _of(
        struct(matchResources=_MATCH, paramRef=atomic())
    ),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _of(
        struct(versions=listed(struct(additionalPrinterColumns=listed(struct(None, "priority")))))
    ),
    ("scheduling.k8s.io", "PriorityClass"): struct(None, "globalDefault", metadata=META),
    ("storage.k8s.io", "CSINode"): _of(struct(drivers=keyed("name"))),
    ("coordination.k8s.io", "Lease"): _of(struct(acquireTime=TIME, renewTime=TIME)),
    ("resource.k8s.io", "ResourceClaim"): _of(_CLAIM_SPEC),
    ("resource.k8s.io", "ResourceClaimTemplate"): _of(struct(metadata=META, spec=_CLAIM_SPEC)),
    # Rollout embeds a pod template without list markers: lists are atomic there, scalars are canonical.
    ("argoproj.io", "Rollout"): _of(struct(selector=ANY, template=scalars_only(POD_TEMPLATE))),
}

# The type names of `knownTypeFields`.
NAMED: dict[str, Type] = {
    "core/v1/PodSpec": POD_SPEC,
    "core/v1/PodTemplateSpec": POD_TEMPLATE,
    "core/v1/Container": _CONTAINER,
    "core/v1/ResourceRequirements": _RESOURCES,
    "core/v1/ResourceList": QUANTITIES,
    "core/v1/PersistentVolumeClaimSpec": _PVC_SPEC,
    "core/Quantity": QUANTITY,
    "meta/v1/Duration": DURATION,
    "meta/v1/Time": TIME,
}
