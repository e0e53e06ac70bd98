"""Policies as rows: create, change, remove, and what they ask of one plan now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

import hub.services.audit as audit
import hub.services.rights as rights
import hub.services.statements as statements
from hub.core.approvals import Demand, Policy, Subject, combine, matches, read_policy
from hub.errors import HubError
from hub.models import Application, ApprovalPolicy, ApprovalRequest, User
from hub.services.actors import Actor
from hub.services.documents import InvalidDocument


def policy_document(row: ApprovalPolicy) -> dict[str, Any]:
    return {"description": "", **row.document, "name": row.name, "enabled": row.enabled}


def _read(document: Any) -> dict[str, Any]:
    policy, errors = read_policy(document)
    if policy is None:
        raise InvalidDocument(errors)
    return dict(document)


@transaction.atomic
def create_policy(actor: Actor, document: Any) -> ApprovalPolicy:
    """A new policy. Raises InvalidDocument or HubError `name_not_available`."""
    values = _read(document)
    row = ApprovalPolicy(name=values["name"], enabled=values.get("enabled", True), document=values)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise HubError("name_not_available", f"the name {row.name} is not available", status=409) from None
    audit.record(
        actor, "create", resource="approval-policy", name=row.name, after=policy_document(row), level=3
    )
    return row


@transaction.atomic
def update_policy(
    actor: Actor, row: ApprovalPolicy, document: Any, *, expected_generation: int | None = None
) -> ApprovalPolicy:
    """Replace the document; open requests are judged by the new one from now on. Raises InvalidDocument, `stale`."""
    before, values = policy_document(row), _read(document)
    if values["name"] != row.name:
        raise InvalidDocument({"name": ["a policy is never renamed"]})
    same = ApprovalPolicy.objects.filter(id=row.id, generation=expected_generation or row.generation)
    changed = same.update(
        enabled=values.get("enabled", True),
        document=values,
        generation=F("generation") + 1,
        updated_at=timezone.now(),
    )
    if not changed:
        raise HubError("stale", f"{row.name} was changed meanwhile", "read it again and repeat", status=412)
    row.refresh_from_db()
    audit.record(
        actor,
        "update",
        resource="approval-policy",
        name=row.name,
        before=before,
        after=policy_document(row),
        level=3,
    )
    return row


@transaction.atomic
def delete_policy(actor: Actor, row: ApprovalPolicy) -> None:
    audit.record(
        actor, "delete", resource="approval-policy", name=row.name, before=policy_document(row), level=3
    )
    row.delete()


def enabled_policies() -> list[Policy]:
    """Every policy in force. One that cannot be read any more would ask nobody, so it is an error, never skipped."""
    found = []
    for row in ApprovalPolicy.objects.filter(enabled=True):
        policy, errors = read_policy(row.document)
        if policy is None:
            raise HubError(
                "unreadable_policy",
                f"approval policy {row.name} cannot be read: {next(iter(errors))}",
                status=500,
            )
        found.append(policy)
    return found


def any_policy() -> bool:
    """Whether anything is ever asked: a hub without policies pays one small query for an operation."""
    return statements.exists("SELECT 1 FROM hub_approvalpolicy WHERE enabled")


def demand_for(app: Application, kind: str, plan: Mapping[str, Any]) -> Demand | None:
    """What all matching policies ask of this plan now; None when none matches."""
    policies = enabled_policies()
    if not policies:
        return None
    subject = Subject(
        kind=kind,
        project=app.project.name,
        application=app.name,
        namespace=app.destination_namespace,
        cluster=app.cluster.name,
        app_labels=app.labels,
        cluster_labels=app.cluster.labels,
        plan=plan,
    )
    return combine([policy for policy in policies if matches(policy, subject)])


def demand_of(row: ApprovalRequest) -> Demand | None:
    """What is asked of a request now."""
    return demand_for(row.application, row.kind, row.plan) if row.application is not None else None


def visible(user: User) -> QuerySet[ApprovalRequest]:
    """Requests of the Projects that this person may see, those of applications that are gone included."""
    rows = ApprovalRequest.objects.select_related("application__project", "application__cluster")
    if user.is_superuser:
        return rows
    return rows.filter(project__in=list(rights.visible_projects(user).values_list("name", flat=True)))
