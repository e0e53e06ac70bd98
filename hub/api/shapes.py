"""Shapes of bodies and answers, for OpenAPI alone: reading is `hub.core.specs`, deciding is `hub.services`."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s


def make(name: str, words: str, /, **fields: s.Field[Any, Any, Any, Any]) -> type[s.Serializer[Any]]:
    """A serializer class by name; the class docstring becomes the description in the schema."""
    return type(name, (s.Serializer,), {"__doc__": words, "__module__": __name__, **fields})


def text(**options: Any) -> s.CharField:
    return s.CharField(**{"required": False, "allow_blank": True} | options)


def secret(**options: Any) -> s.CharField:
    return s.CharField(**{"required": False, "allow_blank": True, "write_only": True} | options)


def flag() -> s.BooleanField:
    return s.BooleanField(required=False)


def number() -> s.IntegerField:
    return s.IntegerField(required=False, min_value=-(2**31), max_value=2**31)


def moment() -> s.DateTimeField:
    return s.DateTimeField(required=False, allow_null=True)


def words() -> s.DictField:
    return s.DictField(child=s.CharField(allow_blank=True), required=False)


def texts() -> s.ListField:
    return s.ListField(child=s.CharField(allow_blank=True), required=False)


def anything() -> s.JSONField:
    return s.JSONField(required=False)


def objects() -> s.ListField:
    return s.ListField(child=s.DictField(), required=False)


Error = make(
    "Error",
    "Every failure has this shape.",
    code=s.CharField(),
    message=s.CharField(),
    hint=s.CharField(allow_blank=True),
    fields=s.DictField(child=s.ListField(child=s.CharField()), required=False),
)

# Sessions and accounts
SignIn = make("SignIn", "A local account.", username=s.CharField(), password=s.CharField(write_only=True))
Who = make(
    "Who",
    "The signed-in person.",
    username=s.CharField(),
    email=text(),
    is_admin=s.BooleanField(),
    groups=texts(),
    projects=words(),
)
NewPassword = make(
    "NewPassword", "Both as text.", old=s.CharField(write_only=True), new=s.CharField(write_only=True)
)
_TOKEN = {
    "id": s.UUIDField(),
    "name": s.CharField(),
    "read_only": s.BooleanField(),
    "created_at": s.DateTimeField(),
    "expires_at": s.DateTimeField(),
    "last_used_at": s.DateTimeField(allow_null=True),
}
Token = make("Token", "An API token without its value.", **_TOKEN)
Tokens = make("Tokens", "All of one person.", items=Token(many=True), next=s.CharField(allow_null=True))
NewToken = make("NewToken", "A token to be made.", name=s.CharField(), days=number(), read_only=flag())
TokenOnce = make("TokenOnce", "The only answer with the value.", **_TOKEN, value=s.CharField())
_ACCOUNT = {"email": text(), "is_admin": flag(), "is_staff": flag(), "active": flag(), "groups": texts()}
_TIMES = {"last_login": moment(), "created_at": moment()}
Account = make("Account", "A local user.", username=s.CharField(), **_ACCOUNT, **_TIMES)
NewAccount = make("NewAccount", "A user to be made.", username=s.CharField(), password=secret(), **_ACCOUNT)
AccountPatch = make("AccountPatch", "What changes.", password=secret(), **_ACCOUNT)
AccountOnce = make(
    "AccountOnce",
    "The only answer with a password that was made here.",
    username=s.CharField(),
    password=text(),
    **_ACCOUNT,
    **_TIMES,
)

# Projects
Member = make(
    "Member", "A user or a group.", user=text(), group=text(), role=s.ChoiceField(["owner", "reader"])
)
_PROJECT = {
    "description": text(),
    "labels": words(),
    "annotations": words(),
    "rules": s.DictField(required=False),
    "members": Member(many=True, required=False),
}
ProjectDocument = make("ProjectDocument", "What people write.", name=s.CharField(), **_PROJECT)
ProjectPatch = make("ProjectPatch", "JSON merge patch.", **_PROJECT)
_KNOWN = {"generation": s.IntegerField(), "archived": s.BooleanField()}
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
_PEMS = {"known_hosts": text(), "ca_pem": text(), "client_certificate_pem": text()}
_REPOSITORY_SECRETS = {
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
_REPOSITORY = {
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
_CLUSTER = {
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
_CLUSTER_SECRETS = {
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
_STATE = {
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
KubeconfigPreview = make("KubeconfigPreview", "Its contexts.", current_context=text(), contexts=objects())

# Applications
Directory = make(
    "Directory",
    "Plain files.",
    recurse=flag(),
    include=text(),
    exclude=text(),
    disable_extension_filter=flag(),
)
Source = make(
    "Source",
    "Where manifests come from.",
    repo_url=s.CharField(),
    path=text(),
    target_revision=text(),
    tag_prefix=text(),
    ref=text(),
    chart=text(),
    directory=Directory(required=False),
    helm=anything(),
    kustomize=anything(),
    plugin=anything(),
)
Destination = make("Destination", "Where they go.", cluster=s.CharField(), namespace=text())
Automated = make(
    "Automated",
    "Present: syncs by itself.",
    enabled=flag(),
    prune=flag(),
    self_heal=flag(),
    allow_empty=flag(),
)
Retry = make(
    "Retry",
    "How often and when again.",
    limit=number(),
    duration=text(),
    factor=number(),
    max_duration=text(),
    refresh=flag(),
)
SyncPolicy = make(
    "SyncPolicy",
    "How it syncs.",
    automated=Automated(required=False, allow_null=True),
    sync_options=texts(),
    retry=Retry(required=False),
    managed_namespace_metadata=s.DictField(required=False),
    depends_on=objects(),
)
_APPLICATION = {
    "labels": words(),
    "annotations": words(),
    "sync_policy": SyncPolicy(required=False),
    "ignore_differences": objects(),
    "on_delete": s.ChoiceField(["cascade", "detach"], required=False),
}
ApplicationDocument = make(
    "ApplicationDocument",
    "What people write.",
    name=s.CharField(),
    project=s.CharField(),
    sources=Source(many=True),
    destination=Destination(),
    **_APPLICATION,
)
ApplicationPatch = make(
    "ApplicationPatch",
    "JSON merge patch.",
    project=text(),
    sources=Source(many=True, required=False),
    destination=Destination(required=False),
    **_APPLICATION,
)
Status = make(
    "Status",
    "What is known of it.",
    sync=text(),
    health=text(),
    health_message=text(),
    phase=text(),
    conditions=objects(),
    revisions=texts(),
    synced_revisions=texts(),
    counts=s.DictField(required=False),
    gate=s.DictField(required=False),
    observed_generation=number(),
    status_at=moment(),
    next_look_at=moment(),
)
Application = make(
    "Application",
    "Document and status.",
    name=s.CharField(),
    project=s.CharField(),
    sources=Source(many=True),
    destination=Destination(),
    **_APPLICATION,
    generation=s.IntegerField(),
    created_at=moment(),
    updated_at=moment(),
    deletion_requested_at=moment(),
    status=Status(),
)
ApplicationSummary = make(
    "ApplicationSummary",
    "A line of a list.",
    name=text(),
    project=text(),
    cluster=text(),
    namespace=text(),
    sync=text(),
    health=text(),
    phase=text(),
    auto_sync=flag(),
    revision=text(),
    conditions=texts(),
    generation=number(),
    updated_at=moment(),
)

# Operations and what they are about
SyncRequest = make(
    "SyncRequest",
    "What to sync, and how; everything may be left out.",
    revisions=texts(),
    dry_run=flag(),
    prune=flag(),
    force=flag(),
    apply_all=flag(),
    skip_hooks=flag(),
    run_all_hooks=flag(),
    resources=objects(),
    labels=words(),
    strategy=text(),
    retry=Retry(required=False),
    reason=text(),
    sync_options=texts(),
)
Confirmation = make("Confirmation", "Names the digest that waits.", digest=s.CharField(), choice=text())
_OPERATION = {
    "id": s.UUIDField(required=False),
    "number": number(),
    "application": text(),
    "project": text(),
    "kind": text(),
    "phase": text(),
    "initiator": s.DictField(required=False),
    "revisions": texts(),
    "message": text(),
    "attempt": number(),
    "created_at": moment(),
    "started_at": moment(),
    "finished_at": moment(),
}
OperationSummary = make("OperationSummary", "A line of a list.", **_OPERATION)
Operation = make(
    "Operation",
    "One accepted request and what became of it.",
    **_OPERATION,
    request=s.DictField(required=False),
    plan_digest=text(),
    results=objects(),
    wait=s.DictField(required=False),
    retry_at=moment(),
    terminate_requested=flag(),
    confirmed=objects(),
)
_KEY = {
    "group": text(),
    "kind": text(),
    "namespace": text(),
    "name": text(),
    "status": text(),
    "reason": text(),
}
Resource = make(
    "Resource",
    "One object.",
    **_KEY,
    version=text(),
    message=text(),
    health=text(),
    health_message=text(),
    hook=flag(),
    wave=number(),
)
Difference = make("Difference", "How one object differs.", **_KEY, lines=objects())
Manifests = make("Manifests", "Secrets are masked.", digest=text(), revisions=texts(), items=objects())

# Records and the hub itself
Event = make(
    "Event",
    "Something happened.",
    id=number(),
    key=text(),
    name=text(),
    severity=text(),
    summary=text(),
    application=text(),
    project=text(),
    occurred_at=moment(),
    resolves=text(),
)
AuditEvent = make(
    "AuditEvent",
    "Who did what.",
    id=number(),
    at=moment(),
    actor=words(),
    via=text(),
    address=text(),
    request_id=text(),
    action=text(),
    resource=text(),
    object=text(),
    project=text(),
    outcome=text(),
    code=text(),
    reason=text(),
    before=s.DictField(required=False),
    after=s.DictField(required=False),
    level=number(),
    cwe=s.IntegerField(required=False, allow_null=True),
)
Version = make("Version", "Which hub this is.", version=text(), api=text(), django=text(), python=text())
Settings = make("Settings", "By name.", settings=s.DictField())
