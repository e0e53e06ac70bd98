"""Projects and their members: create, change, remove."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.db.models import F

import hub.services.audit as audit
import hub.services.fences as fences
from hub.core import specs
from hub.errors import HubError
from hub.models import Project, ProjectMember, User
from hub.services.actors import Actor
from hub.services.documents import InvalidDocument

DOCUMENT = specs.record(
    {
        "name": specs.text(
            253, pattern=re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"), what="a DNS subdomain"
        ),
        "description": specs.text(255),
        "labels": specs.text_map,
        "annotations": specs.text_map,
        "rules": specs.anything,
        "members": specs.list_of(
            specs.record(
                {"user": specs.text(64), "group": specs.text(150), "role": specs.text(16)}, required=("role",)
            )
        ),
    },
    required=("name",),
)


def document(project: Project) -> dict[str, Any]:
    return {
        "name": project.name,
        "description": project.description,
        "labels": project.labels,
        "annotations": project.annotations,
        "rules": project.rules,
        "members": [
            {
                "role": member.role,
                **({"user": member.user.username} if member.user else {"group": str(member.group)}),
            }
            for member in project.members.select_related("user", "group")
        ],
    }


def _read(doc: Any) -> dict[str, Any]:
    errors: specs.Errors = {}
    values = DOCUMENT(doc, "", errors)
    if not errors:
        for path, sentences in fences.rule_errors(values.get("rules") or {}).items():
            errors[f"rules.{path}" if path else "rules"] = sentences
    if errors:
        raise InvalidDocument(errors)
    return dict(values)


@transaction.atomic
def create(actor: Actor, doc: Any) -> Project:
    """A new Project; without rules it denies everything. Raises InvalidDocument or `name_not_available`."""
    values = _read(doc)
    members = values.pop("members", [])
    project = Project(**values)
    try:
        with transaction.atomic():
            project.save(force_insert=True)
    except IntegrityError:
        raise HubError(
            "name_not_available", f"the name {project.name} is not available", status=409
        ) from None
    _set_members(project, members)
    audit.record(
        actor, "create", resource="project", name=project.name, project=project.name, after=document(project)
    )
    return project


@transaction.atomic
def update(
    actor: Actor,
    project: Project,
    doc: Any,
    *,
    accept_invalid: bool = False,
    expected_generation: int | None = None,
) -> Project:
    """Replace the document. A change that would make Applications invalid is refused with their names (PR19).

    Raises HubError `stale` when somebody stored another generation meanwhile.
    """
    before = document(project)
    values = _read(doc)
    if values["name"] != project.name:
        raise InvalidDocument({"name": ["a project is never renamed"]})
    broken = fences.would_break(project, values.get("rules") or {})
    if broken and not accept_invalid:
        raise HubError(
            "would_break_applications",
            f"these applications would become invalid: {', '.join(broken[:20])}",
            "repeat with accept_invalid=true to store it anyway; they stop syncing, nothing is pruned",
            status=422,
        )
    members = values.pop("members", None)
    same = Project.objects.filter(id=project.id, generation=expected_generation or project.generation)
    if not same.update(**values, generation=F("generation") + 1):
        raise HubError(
            "stale", f"{project.name} was changed meanwhile", "read it again and repeat", status=412
        )
    project.refresh_from_db()
    if members is not None:
        _set_members(project, members)
    audit.record(
        actor,
        "update",
        resource="project",
        name=project.name,
        project=project.name,
        before=before,
        after=document(project),
        level=3,
    )
    return project


@transaction.atomic
def delete(actor: Actor, project: Project) -> None:
    """Remove an empty Project; `default` stays for ever (PR21)."""
    if project.name == "default":
        raise HubError("protected", "the project default cannot be deleted", status=409)
    applications, repositories = project.applications.count(), project.repositories.count()
    if applications or repositories:
        raise HubError(
            "in_use",
            f"{project.name} has {applications} applications and {repositories} repositories",
            "move or remove them first",
            status=409,
        )
    audit.record(actor, "delete", resource="project", name=project.name, project=project.name, level=3)
    project.delete()


def _set_members(project: Project, members: list[Mapping[str, str]]) -> None:
    rows, errors = [], specs.Errors()
    for index, member in enumerate(members):
        user = User.objects.filter(username=member.get("user", "")).first() if member.get("user") else None
        group = Group.objects.filter(name=member.get("group", "")).first() if member.get("group") else None
        if (user is None) == (group is None):
            errors[f"members[{index}]"] = ["must name one existing user or one existing group"]
        if member["role"] not in ProjectMember.Role.values:
            errors[f"members[{index}].role"] = ["must be owner or reader"]
        rows.append(ProjectMember(project=project, user=user, group=group, role=member["role"]))
    if errors:
        raise InvalidDocument(errors)
    project.members.all().delete()
    ProjectMember.objects.bulk_create(rows)
