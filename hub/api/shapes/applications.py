"""Applications and how they sync."""

from __future__ import annotations

from rest_framework import serializers as s

from hub.api.shapes.fields import Fields, anything, flag, make, moment, number, objects, text, texts, words

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
_APPLICATION: Fields = {
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
    deletion=s.DictField(
        required=False, help_text="a rehearsed deletion: what would go, what would stay and why"
    ),
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
