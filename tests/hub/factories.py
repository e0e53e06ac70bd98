"""Rows for tests: the fixed cast and the smallest valid records."""

from __future__ import annotations

from typing import Any

from clusters.models import Cluster
from hub.models import Application, Project, ProjectMember, User

OPEN = {
    "sources": {"allow": ["*"]},
    "destinations": {"allow": [{"name": "*", "namespace": "*"}]},
    "cluster_kinds": {"allow": [{"group": "*", "kind": "*"}]},
}


def project(name: str = "shop", **fields: Any) -> Project:
    return Project.objects.get_or_create(name=name, defaults={"rules": OPEN, **fields})[0]


def cluster(name: str = "dev", **fields: Any) -> Cluster:
    values = {"server": f"https://{name}.example.com", **fields}
    return Cluster.objects.get_or_create(name=name, defaults=values)[0]


def application(name: str = "web", **fields: Any) -> Application:
    values = {
        "project": fields.pop("project", None) or project(),
        "cluster": fields.pop("cluster", None) or cluster(),
        "destination_namespace": "shop",
        "sources": [{"repoURL": "https://git.example.com/shop/web.git", "path": "deploy"}],
        **fields,
    }
    return Application.objects.create(name=name, **values)


def user(name: str, role: str = "", of: Project | None = None, **fields: Any) -> User:
    """Alice owns `shop`, Bob reads it, Charlie is a stranger, Dana is of the platform team."""
    person = User.objects.create_user(username=name, password=f"{name}-has-a-long-password", **fields)
    if role:
        ProjectMember.objects.create(project=of or project(), user=person, role=role)
    return person
