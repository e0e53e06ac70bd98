"""The senders: how each is recognised and proven, and where its payload names repositories and refs (sources.md 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import hub.core.webhooks.proof as proof
from hub.core.webhooks.proof import Headers, Proof

Payload = Mapping[str, Any]


def values(data: Any, path: str) -> list[str]:
    """All texts at a path like `push.changes[].new.name`; whatever has another shape is passed over."""
    found = [data]
    for part in path.split("."):
        name = part.removesuffix("[]")
        found = [item[name] for item in found if isinstance(item, Mapping) and name in item]
        if part.endswith("[]"):
            found = [item for each in found if isinstance(each, list) for item in each]
    return [item for item in found if isinstance(item, str)]


def _github_images(data: Payload) -> Iterator[str]:
    for owner, name in zip(values(data, "package.owner.login"), values(data, "package.name"), strict=False):
        yield f"ghcr.io/{owner}/{name}"


def _harbor_images(data: Payload) -> Iterator[str]:
    for text in values(data, "event_data.resources[].resource_url"):
        host, slash, rest = text.partition("/")
        yield host + slash + rest.partition("@")[0].rpartition(":")[0]


def _docker_hub_images(data: Payload) -> Iterator[str]:
    yield from (f"docker.io/{name}" for name in values(data, "repository.repo_name"))


def _acr_images(data: Payload) -> Iterator[str]:
    for host, name in zip(values(data, "request.host"), values(data, "target.repository"), strict=False):
        yield f"{host}/{name}"


def _ecr_images(data: Payload) -> Iterator[str]:
    for account, region, name in zip(
        values(data, "account"), values(data, "region"), values(data, "detail.repository-name"), strict=False
    ):
        yield f"{account}.dkr.ecr.{region}.amazonaws.com/{name}"


def _any_event(_headers: Headers, _data: Payload) -> bool:
    return True


def _event_in(header: tuple[str, ...], wanted: frozenset[str]) -> Callable[[Headers, Payload], bool]:
    def check(headers: Headers, _data: Payload) -> bool:
        return any(headers.get(name, "") in wanted for name in header)

    return check


def _is_gitlab_push(headers: Headers, data: Payload) -> bool:
    if headers.get("x-gitlab-event") == "System Hook":
        return data.get("event_name") in ("push", "tag_push", "repository_update")
    return headers.get("x-gitlab-event") in ("Push Hook", "Tag Push Hook")


def _is_container(_headers: Headers, data: Payload) -> bool:
    kinds = values(data, "package.package_type") + values(data, "package.ecosystem")
    return data.get("action") == "published" and any(kind.lower() == "container" for kind in kinds)


@dataclass(frozen=True, slots=True)
class Provider:
    """One row of the table. Paths are those of `values`; `images` makes addresses that stand in no single field.

    `recognised` is judged on lower-case header names; None: only by its own address.
    """

    name: str
    proof: Proof
    recognised: Callable[[Headers], bool] | None = None
    interesting: Callable[[Headers, Payload], bool] = _any_event
    delivery_headers: tuple[str, ...] = ()
    delivery_field: str = ""
    repositories: tuple[str, ...] = ()
    images: Callable[[Payload], Iterator[str]] | None = None
    refs: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    pings: frozenset[tuple[str, str]] = field(default_factory=frozenset)

    def is_ping(self, headers: Headers) -> bool:
        return any(headers.get(name) == value for name, value in self.pings)


def _has(*names: str) -> Callable[[Headers], bool]:
    return lambda headers: any(name in headers for name in names)


_CLONES = ("repository.clone_url", "repository.ssh_url", "repository.html_url", "repository.git_url")
_FORGES = ("gitea", "forgejo", "gogs")
_FORGE_EVENTS = tuple(f"x-{name}-event" for name in _FORGES)
_HUB_256 = proof.hex_signature("x-hub-signature-256", prefix="sha256=")
_PUSHES = frozenset({"push", "create", "delete"})

# In the order in which senders are recognised: some forges also send the headers of GitHub.
PROVIDERS: tuple[Provider, ...] = (
    Provider(
        "azure-devops",
        proof.basic,
        _has("x-vss-activityid"),
        lambda _headers, data: data.get("eventType", "git.push") == "git.push",
        delivery_field="id",
        repositories=("resource.repository.remoteUrl",),
        refs=("resource.refUpdates[].name",),
        commits=("resource.refUpdates[].newObjectId",),
    ),
    Provider(
        "gitea",
        proof.hex_signature(*(f"x-{name}-signature" for name in _FORGES)),
        _has(*_FORGE_EVENTS),
        _event_in(_FORGE_EVENTS, _PUSHES),
        tuple(f"x-{name}-delivery" for name in _FORGES),
        repositories=_CLONES,
        refs=("ref",),
        commits=("after",),
    ),
    Provider(
        "github-package",
        _HUB_256,
        lambda headers: headers.get("x-github-event") == "package",
        _is_container,
        ("x-github-delivery",),
        images=_github_images,
        refs=("package.package_version.container_metadata.tag.name",),
    ),
    Provider(
        "github",
        _HUB_256,
        _has("x-github-event"),
        _event_in(("x-github-event",), _PUSHES),
        ("x-github-delivery",),
        repositories=_CLONES,
        refs=("ref",),
        commits=("after",),
        pings=frozenset({("x-github-event", "ping")}),
    ),
    Provider(
        "gitlab",
        proof.gitlab,
        _has("x-gitlab-event"),
        _is_gitlab_push,
        ("x-gitlab-event-uuid", "webhook-id"),
        repositories=("project.git_http_url", "project.git_ssh_url", "project.web_url"),
        refs=("ref", "refs[]"),
        commits=("after", "changes[].after"),
    ),
    Provider(
        "bitbucket-cloud",
        proof.bitbucket_cloud,
        lambda headers: "x-hook-uuid" in headers and headers.get("x-event-key", "") == "repo:push",
        delivery_headers=("x-request-uuid",),
        repositories=("repository.links.html.href",),
        refs=("push.changes[].new.name", "push.changes[].old.name"),
        commits=("push.changes[].new.target.hash",),
    ),
    Provider(
        "bitbucket-server",
        proof.hex_signature("x-hub-signature", prefix="sha256="),
        lambda headers: headers.get("x-event-key", "") in ("repo:refs_changed", "diagnostics:ping"),
        _event_in(("x-event-key",), frozenset({"repo:refs_changed"})),
        ("x-request-id",),
        repositories=("repository.links.clone[].href",),
        refs=("changes[].ref.id",),
        commits=("changes[].toHash",),
        pings=frozenset({("x-event-key", "diagnostics:ping")}),
    ),
    Provider(
        "harbor",
        proof.authorization,
        repositories=("event_data.repository.repo_full_name",),
        images=_harbor_images,
        refs=("event_data.resources[].tag",),
    ),
    Provider("docker-hub", proof.token, images=_docker_hub_images, refs=("push_data.tag",)),
    Provider("quay", proof.token, repositories=("docker_url",), refs=("updated_tags[]",)),
    Provider("acr", proof.token, images=_acr_images, refs=("target.tag", "target.digest")),
    Provider("ecr", proof.token, images=_ecr_images, refs=("detail.image-tag", "detail.image-digest")),
    Provider(
        "generic",
        _HUB_256,
        delivery_headers=("x-request-id",),
        repositories=("repository",),
        refs=("ref",),
    ),
)
BY_NAME = {provider.name: provider for provider in PROVIDERS}


def recognise(headers: Headers) -> Provider | None:
    """The sender that the headers show, or None. Header names are lower case."""
    return next(
        (each for each in PROVIDERS if each.recognised is not None and each.recognised(headers)), None
    )
