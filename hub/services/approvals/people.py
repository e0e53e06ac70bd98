"""Who somebody is for an approval, read from the rights at the moment of the vote (notifications.md 8.3)."""

from __future__ import annotations

from django.contrib.auth.models import Group

import hub.services.rights as rights
from hub.core.approvals import Voter
from hub.models import Project, User


def voter(user: User, project: Project) -> Voter:
    """`user:`, `role:` and those local groups that are bound to the Project: a group of elsewhere gives nothing."""
    role = rights.roles(user).get(project.id)
    bound = Group.objects.filter(user=user, projectmember__project=project).values_list("name", flat=True)
    subjects = {f"user:{user.username}", *(f"group:local:{name}" for name in bound)}
    if role:
        subjects.add(f"role:{role}")
    return Voter(
        id=str(user.pk),
        name=user.username,
        subjects=frozenset(subjects),
        active=user.is_active,
        sees=rights.may(user, "get", project),
        emails=frozenset([user.email.lower()] if user.email else []),
    )
