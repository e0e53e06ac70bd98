"""Projects, repositories, clusters."""

from __future__ import annotations

from rest_framework import serializers as s

from hub.api.shapes.fields import Fields, flag, make, moment, number, objects, secret, text, texts, words

Member = make(
    "Member", "A user or a group.", user=text(), group=text(), role=s.ChoiceField(["owner", "reader"])
)
_PROJECT: Fields = {
    "description": text(),
    "labels": words(),
    "annotations": words(),
    "rules": s.DictField(required=False),
    "members": Member(many=True, required=False),
}
ProjectDocument = make("ProjectDocument", "What people write.", name=s.CharField(), **_PROJECT)
ProjectPatch = make("ProjectPatch", "JSON merge patch.", **_PROJECT)
_KNOWN: Fields = {"generation": s.IntegerField(), "archived": s.BooleanField()}
Project = make("Project", "The whole Project.", name=s.CharField(), **_PROJECT, **_KNOWN, created_at=moment())
ProjectSummary = make(
    "ProjectSummary",
    "A line of a list.",
    name=text(),
    description=text(),
    labels=words(),
    archived=flag(),
    generation=number(),
)

# Repositories
_PEMS: Fields = {"known_hosts": text(), "ca_pem": text(), "client_certificate_pem": text()}
_REPOSITORY_SECRETS: Fields = {
    "password": secret(allow_null=True),
    "bearer_token": secret(allow_null=True),
    "ssh_private_key": secret(allow_null=True),
    "client_key_pem": secret(allow_null=True),
    "proxy_url": secret(allow_null=True),
}
RepositoryDocument = make(
    "RepositoryDocument",
    "What people write.",
    url=s.CharField(),
    project=text(),
    username=text(),
    **_PEMS,
    **_REPOSITORY_SECRETS,
)
RepositoryPatch = make(
    "RepositoryPatch",
    "What changes.",
    url=text(),
    project=text(),
    username=text(),
    **_PEMS,
    **_REPOSITORY_SECRETS,
)
_REPOSITORY: Fields = {
    "id": s.UUIDField(required=False),
    "url": text(),
    "project": text(),
    "credential_kind": text(),
    "state": text(),
    "error": s.DictField(allow_null=True, required=False),
    "checked_at": moment(),
    "generation": number(),
}
RepositorySummary = make("RepositorySummary", "A line of a list.", **_REPOSITORY)
Repository = make(
    "Repository",
    "Everything but the credentials.",
    **_REPOSITORY,
    username=text(),
    **_PEMS,
    refs_count=number(),
    next_poll_at=moment(),
    created_at=moment(),
)

# Clusters
_CLUSTER: Fields = {
    "server": text(),
    "project": text(),
    "labels": words(),
    "annotations": words(),
    "ca_pem": text(),
    "tls_server_name": text(),
    "insecure_skip_tls_verify": flag(),
    "insecure_reason": text(),
    "in_cluster": flag(),
    "namespaces": texts(),
    "cluster_resources": flag(),
    "max_in_flight": number(),
    "shard": number(),
}
_CLUSTER_SECRETS: Fields = {
    "kubeconfig": secret(),
    "context": text(),
    "token": secret(),
    "client_certificate_pem": secret(),
    "client_key_pem": secret(),
    "proxy_url": secret(),
}
ClusterDocument = make(
    "ClusterDocument",
    "A kubeconfig, or an address with its credential.",
    name=s.CharField(),
    **_CLUSTER,
    **_CLUSTER_SECRETS,
)
ClusterPatch = make("ClusterPatch", "What changes.", **_CLUSTER, **_CLUSTER_SECRETS)
_STATE: Fields = {
    "name": text(),
    "state": text(),
    "state_message": text(),
    "version": text(),
    "paused": flag(),
    "generation": number(),
}
Cluster = make(
    "Cluster",
    "Everything but the credentials.",
    **_CLUSTER,
    **_STATE,
    uid=text(),
    missing_rights=s.ListField(required=False),
    probed_at=moment(),
    next_probe_at=moment(),
    credential=s.DictField(required=False),
    created_at=moment(),
)
ClusterSummary = make(
    "ClusterSummary",
    "A line of a list.",
    **_STATE,
    server=text(),
    project=text(),
    shard=number(),
    credential_kind=text(),
)
KubeconfigText = make(
    "KubeconfigText", "A kubeconfig to look at.", kubeconfig=s.CharField(write_only=True), project=text()
)
LeftBehind = make(
    "LeftBehind",
    "What was removed, and what was last seen of the applications that went with it.",
    deleted=text(),
    left_behind=s.DictField(child=texts(), required=False),
)
KubeconfigPreview = make("KubeconfigPreview", "Its contexts.", current_context=text(), contexts=objects())
_WEBHOOK: Fields = {
    "id": text(),
    "provider": text(),
    "repository": text(),
    "address": text(),
    "created_at": moment(),
}
WebhookSecret = make("WebhookSecret", "Where a provider sends to; never its secret.", **_WEBHOOK)
WebhookSecretOnce = make("WebhookSecretOnce", "With its value, this once.", **_WEBHOOK, secret=text())
NewWebhookSecret = make(
    "NewWebhookSecret",
    "Whose webhooks; for one repository or for every one.",
    provider=s.CharField(),
    repository=text(),
    secret=secret(),
)
