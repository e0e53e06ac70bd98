"""The table of known custom kinds, and how a kind finds its rule.

A key is (group, kind). Kind "*" stands for all kinds of a group that have no line of their own; a group that begins
with "*." for all groups below that domain. The more exact key wins.
"""

from __future__ import annotations

import clusters.core.health.argoproj as argoproj
import clusters.core.health.gateways as gateways
import clusters.core.health.platform as platform
import clusters.core.health.workloads as workloads
from clusters.core.health.custom import (
    acked,
    certificate,
    cluster_api,
    cnpg_cluster,
    config_connector,
    constraint_template,
    crossplane,
    flux,
    keda,
    kyverno,
    package_revision,
    virtual_machine,
    volume_snapshot,
)
from clusters.core.health.reading import Rule
from clusters.core.health.tables import by_condition, by_phase

_ready = by_condition("Ready")
_ready_in_time = by_condition("Ready", false="Progressing")
_knative = by_condition("Ready", pending=("Deploying", "ResourcesNotReady", "RevisionMissing"))
_CLUSTER_API = ("Cluster", "Machine", "MachineSet", "MachineDeployment", "MachinePool")
_PACKAGES = ("Provider", "Configuration", "Function")
_KSERVE = ("InferenceService", "InferenceGraph", "LLMInferenceService", "TrainedModel")
_STRIMZI = (
    "Kafka",
    "KafkaConnect",
    "KafkaConnector",
    "KafkaMirrorMaker2",
    "KafkaBridge",
    "KafkaTopic",
    "KafkaUser",
)
_strimzi = by_condition("Ready", bad=("NotReady",), false="Progressing")
_package = by_condition("Installed", "Healthy", pending=("UnpackingPackage", "Pending"))
_tekton = by_condition("Succeeded", pending=("Running", "Started", "Pending"))
_velero = by_phase(
    healthy=("Completed",),
    degraded=("Failed", "PartiallyFailed", "FailedValidation"),
    progressing=("", "New", "InProgress", "WaitingForPluginOperations", "Finalizing", "Uploading", "Queued"),
)
_elastic = by_phase(
    "status", "health", healthy=("green",), degraded=("red",), progressing=("", "yellow", "unknown")
)
_ray = by_phase("status", "state", healthy=("ready",), degraded=("failed",), suspended=("suspended",))

EXACT: dict[tuple[str, str], Rule] = {
    **workloads.RULES,
    **platform.RULES,
    **argoproj.RULES,
    **gateways.RULES,
    ("cert-manager.io", "Certificate"): certificate,
    ("cert-manager.io", "CertificateRequest"): by_condition(
        "Ready", bad=("Denied", "InvalidRequest"), pending=("Pending",)
    ),
    ("cert-manager.io", "*"): _ready,  # Issuer, ClusterIssuer
    ("acme.cert-manager.io", "*"): by_phase(
        "status", "state", healthy=("valid",), degraded=("invalid", "expired", "errored"),
        progressing=("", "pending", "processing", "ready"), message=("status", "reason"),
    ),
    ("external-secrets.io", "*"): _ready,  # ExternalSecret, SecretStore, PushSecret and their cluster forms
    ("bitnami.com", "SealedSecret"): by_condition("Synced"),
    ("keda.sh", "ScaledObject"): keda,
    ("keda.sh", "ScaledJob"): keda,
    **{("pkg.crossplane.io", kind): _package for kind in _PACKAGES},
    **{("pkg.crossplane.io", f"{kind}Revision"): package_revision for kind in _PACKAGES},
    ("ops.crossplane.io", "Operation"): by_condition("Synced", "Succeeded"),
    ("apiextensions.crossplane.io", "CompositeResourceDefinition"): by_condition("Established"),
    ("serving.knative.dev", "*"): _knative,
    ("eventing.knative.dev", "*"): _knative,
    ("messaging.knative.dev", "*"): _knative,
    ("sources.knative.dev", "*"): _knative,
    ("operator.knative.dev", "*"): _knative,
    **{("serving.kserve.io", kind): _ready_in_time for kind in _KSERVE},
    ("kyverno.io", "ClusterPolicy"): kyverno,
    ("kyverno.io", "Policy"): kyverno,
    ("templates.gatekeeper.sh", "ConstraintTemplate"): constraint_template,
    ("snapshot.storage.k8s.io", "VolumeSnapshot"): volume_snapshot,
    ("snapshot.storage.k8s.io", "VolumeSnapshotContent"): volume_snapshot,
    ("tekton.dev", "PipelineRun"): _tekton,
    ("tekton.dev", "TaskRun"): _tekton,
    **{("kafka.strimzi.io", kind): _strimzi for kind in _STRIMZI},
    ("postgresql.cnpg.io", "Cluster"): cnpg_cluster,
    ("postgresql.cnpg.io", "Backup"): by_phase(
        healthy=("completed",), degraded=("failed", "walArchivingFailing"),
        progressing=("", "pending", "started", "running", "finalizing"), message=("status", "error"),
    ),
    ("monitoring.coreos.com", "Prometheus"): by_condition("Available", "Reconciled", suspend=("spec", "paused")),
    ("monitoring.coreos.com", "Alertmanager"): by_condition("Available", "Reconciled", suspend=("spec", "paused")),
    ("monitoring.coreos.com", "ThanosRuler"): by_condition("Available", "Reconciled", suspend=("spec", "paused")),
    ("elasticsearch.k8s.elastic.co", "Elasticsearch"): _elastic,
    ("kibana.k8s.elastic.co", "Kibana"): _elastic,
    ("velero.io", "Backup"): _velero,
    ("velero.io", "Restore"): _velero,
    ("velero.io", "BackupStorageLocation"): by_phase(healthy=("Available",), degraded=("Unavailable",)),
    ("velero.io", "Schedule"): by_phase(
        healthy=("Enabled",), degraded=("FailedValidation",), progressing=("", "New")
    ),
    ("ceph.rook.io", "CephCluster"): by_phase(
        "status", "ceph", "health", healthy=("HEALTH_OK", "HEALTH_WARN"), degraded=("HEALTH_ERR",)
    ),
    ("karpenter.sh", "*"): by_condition("Ready", false="Progressing"),
    ("karpenter.k8s.aws", "EC2NodeClass"): _ready,
    ("kubevirt.io", "VirtualMachine"): virtual_machine,
    ("kubevirt.io", "VirtualMachineInstance"): by_phase(
        healthy=("Running", "Succeeded"), degraded=("Failed",),
        progressing=("", "Pending", "Scheduling", "Scheduled", "WaitingForSync"),
    ),
    ("cdi.kubevirt.io", "DataVolume"): by_phase(
        healthy=("Succeeded",), degraded=("Failed", "Unknown"), suspended=("Paused",),
        progressing=(
            "", "Pending", "PVCBound", "ImportScheduled", "ImportInProgress", "CloneScheduled", "CloneInProgress",
            "UploadScheduled", "UploadReady", "WaitForFirstConsumer", "PendingPopulation",
        ),
    ),
    **{("cluster.x-k8s.io", kind): cluster_api for kind in _CLUSTER_API},
    ("controlplane.cluster.x-k8s.io", "KubeadmControlPlane"): cluster_api,
    ("core.cnrm.cloud.google.com", "*"): config_connector,
    ("ray.io", "RayCluster"): _ray,
    ("ray.io", "RayService"): by_condition("Ready", busy=("UpgradeInProgress",), false="Progressing"),
    ("sparkoperator.k8s.io", "SparkApplication"): by_phase(
        "status", "applicationState", "state",
        healthy=("RUNNING", "COMPLETED"), degraded=("FAILED", "SUBMISSION_FAILED", "FAILING", "INVALIDATING"),
        progressing=("", "NEW", "SUBMITTED", "PENDING_RERUN", "SUCCEEDING", "PENDING_SUBMISSION"),
        suspended=("SUSPENDED",), message=("status", "applicationState", "errorMessage"),
    ),
    ("flagger.app", "Canary"): by_phase(
        healthy=("Initialized", "Succeeded"), degraded=("Failed",),
        progressing=("", "Initializing", "Waiting", "Progressing", "WaitingPromotion", "Promoting", "Finalising"),
    ),
    ("operators.coreos.com", "ClusterServiceVersion"): by_phase(
        healthy=("Succeeded",), degraded=("Failed", "Unknown"),
        progressing=("", "Pending", "InstallReady", "Installing", "Replacing", "Deleting"),
    ),
    ("db.atlasgo.io", "*"): by_condition("Ready", pending=("Reconciling", "GettingDevDB")),
}  # fmt: skip

BELOW_DOMAIN: dict[str, Rule] = {
    "*.toolkit.fluxcd.io": flux,
    "*.crossplane.io": crossplane,
    "*.upbound.io": crossplane,
    "*.services.k8s.aws": acked,
    "*.cnrm.cloud.google.com": by_condition(
        "Ready", pending=("Updating", "DependencyNotReady", "DependencyNotFound", "Reconciling")
    ),
    "*.azure.com": by_condition("Ready", pending=("Reconciling", "WaitingForOwner")),
}


def rule_of(group: str, kind: str) -> Rule | None:
    """The shipped rule of a kind: exact key, then its group, then its domain."""
    rule = EXACT.get((group, kind)) or EXACT.get((group, "*"))
    if rule is None and "." in group:
        for pattern, candidate in BELOW_DOMAIN.items():
            if group.endswith(pattern[1:]):
                return candidate
    return rule
