"""The records of the hub. The row is the request, the event and the audit (house.md 4.5).

May live here: fields, constraints, indexes, values made from a row. May not: decisions (hub.core), writes of more
than one row (hub.services), signals, logic in `save`.
"""

from hub.models.application import Application, ManifestSet, ResourceStatus, SourceState
from hub.models.approval import (
    ApprovalPolicy,
    ApprovalRequest,
    CardToken,
    ChatIdentity,
    CommandToken,
    LinkCode,
    Vote,
)
from hub.models.audit import AuditEvent
from hub.models.event import Event
from hub.models.guessing import LoginFailures
from hub.models.idempotency import IdempotentAnswer
from hub.models.identity import HubIdentity, Shard, WorkerProcess
from hub.models.operation import SyncOperation
from hub.models.project import Project, ProjectMember
from hub.models.repository import Repository
from hub.models.token import ApiToken
from hub.models.user import User
from hub.models.webhook import WebhookDelivery, WebhookSecret

__all__ = [
    "ApiToken",
    "Application",
    "ApprovalPolicy",
    "ApprovalRequest",
    "AuditEvent",
    "CardToken",
    "ChatIdentity",
    "CommandToken",
    "Event",
    "HubIdentity",
    "IdempotentAnswer",
    "LinkCode",
    "LoginFailures",
    "ManifestSet",
    "Project",
    "ProjectMember",
    "Repository",
    "ResourceStatus",
    "Shard",
    "SourceState",
    "SyncOperation",
    "User",
    "Vote",
    "WebhookDelivery",
    "WebhookSecret",
    "WorkerProcess",
]
