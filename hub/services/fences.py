"""What a Project permits, asked at the doors: before an Application or the rules of a Project are stored.

The decisions are `hub.core.policy`; here the rows become facts and violations become errors by path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.errors import HubError
from hub.models import Project


def judge_application(values: Mapping[str, Any]) -> None:
    """Raises InvalidDocument with every rule of the Project that `values` (of `applications.read`) would break."""
    project: Project = values["project"]
    if project.archived:
        raise HubError("project_archived", f"project {project.name} is archived", status=422)


def rule_errors(rules: Any) -> dict[str, list[str]]:
    """Errors of a rules document by path."""
    return {} if isinstance(rules, Mapping) else {"": ["must be a map"]}


def would_break(project: Project, rules: Mapping[str, Any]) -> list[str]:
    """Names of the Applications that `rules` would not permit any more."""
    return []
