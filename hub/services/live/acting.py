"""What people do to a live object: delete it, or one of the actions that its kind offers. Audited, then looked at.

The cluster is asked outside of any transaction: the audit says first what is tried, then how it ended.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from django.utils import timezone

import hub.services.audit as audit
import hub.services.looks as looks
from clusters.core.actions import ActionRefused, ResourceAction, available, build
from clusters.core.manifests import ResourceKey
from clusters.core.plan.steps import Action, Outcome, Step
from clusters.services import carry_out
from hub.errors import HubError
from hub.models import Application
from hub.services.actors import Actor
from hub.services.live.belonging import Belonging
from hub.services.live.finding import Found

Propagation = Literal["Foreground", "Background", "Orphan"]
_UID = re.compile(r"[0-9A-Za-z-]{1,64}")


class Done(NamedTuple):
    """What came of it: the objects that were written or made, and what the server warned of."""

    keys: tuple[ResourceKey, ...]
    warnings: tuple[str, ...]


def actions(found: Found) -> tuple[ResourceAction, ...]:
    """What can be done to this object; nothing to what the Application does not manage."""
    return available(found.obj) if found.managed else ()


def delete(
    actor: Actor, app: Application, found: Found, *, uid: str, propagation: Propagation = "Foreground"
) -> Done:
    """Delete this very object. Raises HubError `uid_needed`, `uid_differs`, `not_managed` or the cluster's refusal."""
    if not uid:
        raise HubError(
            "uid_needed",
            "a delete names the uid of the object that was seen",
            f"?uid={found.obj['metadata']['uid']}",
            status=428,
        )
    _check_uid(found, uid)
    _check_managed(found)
    action = Action("delete", found.key, uid=uid, propagation=propagation)
    return _carry_out(actor, app, found.key, "delete object", (action,), {"propagation": propagation})


def act(
    actor: Actor, app: Application, found: Found, name: str, parameters: Mapping[str, Any], *, uid: str = ""
) -> Done:
    """Do one of `actions(found)`. Raises HubError `not_managed`, `action_refused`, `not_permitted` for what the Project
    would not let anybody make, or the cluster's refusal."""
    if uid:
        _check_uid(found, uid)
    _check_managed(found)
    try:
        requests = build(name, found.obj, timezone.now(), parameters)
    except ActionRefused as refused:
        raise HubError(refused.code, refused.message, refused.hint, status=422) from None
    for made in [each.key for each in requests if each.verb == "create"]:
        if not Belonging(app).permits(made):
            raise HubError(
                "not_permitted",
                f"project {app.project.name} does not permit {made}",
                "ask an owner",
                status=403,
            )
    return _carry_out(actor, app, found.key, f"action {name}"[:64], requests, dict(parameters))


def _check_uid(found: Found, uid: str) -> None:
    if not _UID.fullmatch(uid) or uid != found.obj["metadata"].get("uid"):
        raise HubError(
            "uid_differs", "another object has this name now", "read it again and repeat", status=412
        )


def _check_managed(found: Found) -> None:
    if not found.managed:
        raise HubError(
            "not_managed", f"{found.key} is not managed by this application", "sync it first", status=409
        )


def _carry_out(
    actor: Actor,
    app: Application,
    key: ResourceKey,
    verb: str,
    requests: tuple[Action, ...],
    details: Mapping[str, Any],
) -> Done:
    words: dict[str, Any] = {"resource": "object", "name": f"{app.name} {key}", "project": app.project.name}
    audit.record(actor, verb, **words, outcome="begun", after=details, level=2)
    groups = tuple((each,) for each in requests)
    outcomes = carry_out(app.cluster.connection(), Step("apply", verb, groups))
    failed = next((outcome for outcome in outcomes if not outcome.ok), None)
    outcome, code, reason = ("failed", failed.code, failed.message) if failed else ("done", "", "")
    audit.record(actor, verb, **words, outcome=outcome, code=code, reason=reason, level=2)
    looks.ask([app.id], level=1)
    if failed is not None:
        raise _refusal(failed)
    keys = tuple(each.action.key for each in outcomes)
    return Done(keys, tuple(warning for each in outcomes for warning in each.warnings))


def _refusal(failed: Outcome) -> HubError:
    status = {"not_found": 404, "conflict": 409, "already_exists": 409, "not_ours": 412}.get(failed.code)
    if status is None:
        status = 422 if failed.permanent else 503
    return HubError(failed.code, failed.message, permanent=failed.permanent, status=status)
