"""The default triggers and templates, under the names that people know and in our own words (notifications.md 3.1).

default_triggers() -> {name: Trigger}             default_templates() -> {name: ImportedTemplate}
default_native() -> {name: NativeTrigger}         the same for what only the hub can tell
"""

from __future__ import annotations

import json
from functools import lru_cache
from types import MappingProxyType

from notifications.core.templates import ImportedTemplate, read_template
from notifications.core.triggers import NativeTrigger, Trigger, read_native, read_trigger

_PHASE = "app.status?.operationState?.phase"
_SYNCED = (
    "(app.status?.operationState?.syncResult?.revision ?? '')"
    " + join(app.status?.operationState?.syncResult?.revisions ?? [], ',')"
)
_SEEN = "app.status?.sync?.revision ?? join(app.status?.sync?.revisions ?? [], ',')"
# Health counts only when it was judged after the operation ended.
_JUDGED = "not time.Parse(app.status.reconciledAt).Before(time.Parse(app.status.operationState.finishedAt))"
_TRIGGERS = {
    "on-created": ("The application exists now", "true", "app.metadata.name", "app-created"),
    "on-deleted": (
        "The application is being deleted", "app.metadata.deletionTimestamp != nil", "app.metadata.name", "app-deleted",
    ),
    "on-deployed": (
        "A sync succeeded and everything is healthy",
        f"{_PHASE} == 'Succeeded' and app.status.health?.status == 'Healthy' and {_JUDGED}", _SYNCED, "app-deployed",
    ),
    "on-health-degraded": (
        "Health became Degraded", "app.status?.health?.status == 'Degraded'", _SYNCED, "app-health-degraded",
    ),
    "on-sync-failed": ("A sync failed", f"{_PHASE} in ['Error', 'Failed']", _SYNCED, "app-sync-failed"),
    "on-sync-running": ("A sync began", f"{_PHASE} == 'Running'", _SYNCED, "app-sync-running"),
    "on-sync-status-unknown": (
        "The state cannot be compared with Git", "app.status?.sync?.status == 'Unknown'", _SEEN, "app-sync-status-unknown",
    ),
    "on-sync-succeeded": ("A sync succeeded", f"{_PHASE} == 'Succeeded'", _SYNCED, "app-sync-succeeded"),
}  # fmt: skip
_GREEN, _BLUE, _YELLOW, _RED = "#2eb67d", "#1d9bd1", "#ecb22e", "#e01e5a"
_NAME = "{{ .app.metadata.name }}"
_TEMPLATES = {
    "app-created": (f"{_NAME} was created", _BLUE, ""),
    "app-deleted": (f"{_NAME} is being deleted", _YELLOW, ""),
    "app-deployed": (f"{_NAME} is deployed and healthy", _GREEN, ""),
    "app-health-degraded": (f"{_NAME} is degraded", _RED, "{{ .app.status.health.message | default \"\" }}"),
    "app-sync-failed": (f"{_NAME} could not be synced", _RED, "{{ .app.status.operationState.message | default \"\" }}"),
    "app-sync-running": (f"{_NAME} is being synced", _BLUE, ""),
    "app-sync-status-unknown": (
        f"{_NAME} cannot be compared with Git", _YELLOW,
        "{{ range .app.status.conditions }}{{ .type }}: {{ .message }}\n{{ end }}",
    ),
    "app-sync-succeeded": (f"{_NAME} was synced", _GREEN, ""),
}  # fmt: skip
_NATIVE = {
    "on-drift-detected": "drift-detected",
    "on-drift-resolved": "drift-resolved",
    "on-health-recovered": "health-recovered",
    "on-approval-requested": "approval-requested",
}


def _template(headline: str, colour: str, details: str) -> str:
    """One template as the YAML (here: JSON) of an imported one: text, mail and Slack."""
    link = "{{ .context.argocdUrl }}/applications/{{ .app.metadata.namespace }}/{{ .app.metadata.name }}"
    attachment = (
        '[{"color": "' + colour + '", "title": "' + headline + '", "title_link": "' + link + '", "text": "'
        + details.replace('"', "`").replace("\n", "\\n") + '", "fields": ['
        '{"title": "Project", "value": "{{ .app.spec.project }}", "short": true},'
        '{"title": "Revision", "value": "{{ .app.status.sync.revision | default `several` | trunc 12 }}", "short": true}]}]'
    )  # fmt: skip
    body = f"{headline}.\n{details}\n{link}\n" if details else f"{headline}.\n{link}\n"
    return json.dumps(
        {
            "message": body,
            "email": {"subject": headline, "body": body},
            "slack": {"attachments": attachment},
        }
    )


@lru_cache(maxsize=1)
def default_triggers() -> MappingProxyType[str, Trigger]:
    """Imported form: each told once per synced revision, the first two once per name."""
    return MappingProxyType(
        {
            name: read_trigger(
                name, json.dumps([{"description": why, "when": when, "oncePer": once, "send": [template]}])
            )
            for name, (why, when, once, template) in _TRIGGERS.items()
        }
    )


@lru_cache(maxsize=1)
def default_templates() -> MappingProxyType[str, ImportedTemplate]:
    """One per default trigger."""
    return MappingProxyType(
        {name: read_template(name, _template(*parts)) for name, parts in _TEMPLATES.items()}
    )


@lru_cache(maxsize=1)
def default_native() -> MappingProxyType[str, NativeTrigger]:
    """Events that only the hub knows; they send the built-in Message of their event."""
    return MappingProxyType(
        {name: read_native({"name": name, "on": [event]}) for name, event in _NATIVE.items()}
    )
