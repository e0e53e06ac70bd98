"""Who may do what, in its first form: platform administrators, owners and readers of a Project.

RBAC lines will replace the body of `may`; every door asks here and nowhere else (access-and-api.md 2).
"""

from __future__ import annotations

import uuid

from django.db.models import Q, QuerySet

from clusters.models import Cluster
from hub.errors import HubError
from hub.models import Application, Event, Project, ProjectMember, Repository, SyncOperation, User


class NotFound(HubError):
    """Missing or hidden: the answer is the same for both (security-and-reliability.md B3)."""

    def __init__(self, what: str = "object") -> None:
        super().__init__("not_found", f"this {what} does not exist, or you may not see it", status=404)


class Forbidden(HubError):
    """The caller may see the object and may not do this to it."""

    def __init__(self, action: str, name: str, project: str = "") -> None:
        # For the audit: owners read who was refused in their Project.
        self.project = project
        super().__init__(
            "forbidden",
            f"you may not {action} {name}",
            "ask an owner of the project or a platform administrator",
            status=403,
        )


def roles(user: User) -> dict[uuid.UUID, str]:
    """Project id -> owner or reader, over the user's own rows and those of its groups."""
    found: dict[uuid.UUID, str] = {}
    members = ProjectMember.objects.filter(Q(user=user) | Q(group__in=user.groups.all()))
    for project, role in members.values_list("project_id", "role"):
        if found.get(project) != ProjectMember.Role.OWNER:
            found[project] = role
    return found


def visible_projects(user: User) -> QuerySet[Project]:
    if user.is_superuser:
        return Project.objects.all()
    return Project.objects.filter(id__in=roles(user))


def visible_applications(user: User) -> QuerySet[Application]:
    """One WHERE, never row by row (access-and-api.md AC14)."""
    if user.is_superuser:
        return Application.objects.all()
    return Application.objects.filter(project_id__in=roles(user))


def may(user: User, action: str, project: Project | None) -> bool:
    """`get` for readers, everything for owners; what belongs to no Project is for administrators alone."""
    if not user.is_active:
        return False
    if user.is_superuser:
        return True
    role = roles(user).get(project.id) if project is not None else None
    return role == ProjectMember.Role.OWNER or (role == ProjectMember.Role.READER and action == "get")


def demand(user: User, action: str, project: Project | None, name: str) -> None:
    """Raises NotFound when the caller may not even see it, Forbidden when only this action is refused."""
    if may(user, action, project):
        return
    if project is not None and may(user, "get", project):
        raise Forbidden(action, name, project.name)
    raise NotFound


def owned_projects(user: User) -> QuerySet[Project]:
    """Projects whose audit and members this person may see whole."""
    if user.is_superuser:
        return Project.objects.all()
    owned = [project for project, role in roles(user).items() if role == ProjectMember.Role.OWNER]
    return Project.objects.filter(id__in=owned)


def visible_repositories(user: User) -> QuerySet[Repository]:
    """Those of the caller's Projects; what belongs to no Project is for administrators."""
    if user.is_superuser:
        return Repository.objects.all()
    return Repository.objects.filter(project_id__in=roles(user))


def visible_clusters(user: User) -> QuerySet[Cluster]:
    """Those scoped to one of the caller's Projects; the others are for administrators."""
    if user.is_superuser:
        return Cluster.objects.all()
    return Cluster.objects.filter(scope__in=visible_projects(user).values("name"))


def visible_events(user: User) -> QuerySet[Event]:
    if user.is_superuser:
        return Event.objects.all()
    return Event.objects.filter(project__in=list(visible_projects(user).values_list("name", flat=True)))


def visible_operations(user: User) -> QuerySet[SyncOperation]:
    if user.is_superuser:
        return SyncOperation.objects.all()
    return SyncOperation.objects.filter(application__project_id__in=roles(user))
