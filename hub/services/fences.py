"""What a Project permits, asked at the doors: before an Application or the rules of a Project are stored.

The decisions are `hub.core.policy`; here rows become facts, and violations become errors by path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clusters.core.health import BrokenRule, read_health
from clusters.core.manifests import ResourceKey
from clusters.models import Cluster
from hub.core import policy, specs
from hub.core.plans import guard_errors
from hub.core.sources import normalise_url
from hub.core.switches import is_automated
from hub.models import Application, Project, Repository
from hub.services.addresses import repository_for
from hub.services.documents import InvalidDocument

# Rule of access-and-api.md 1.4 -> code of the answer and the part of the document it is about.
_ABOUT = {
    1: ("project_not_usable", "project"),
    2: ("namespace_not_permitted", "namespace"),
    3: ("source_not_permitted", "sources"),
    8: ("switched_off", "sync_policy"),
}
_KIND = {"group": specs.text(253), "kind": specs.text(63)}
_NAMED = {**_KIND, "name": specs.text(253)}
# Parts of the rules that hub.core.policy does not read.
OTHER_RULES: Mapping[str, specs.Reader] = {
    "orphans": specs.record(
        {"enabled": specs.flag, "warn": specs.flag, "ignore": specs.list_of(specs.record(_NAMED))}
    ),
    "deletion": specs.record(
        {
            "protected_kinds": specs.list_of(specs.record(_KIND, required=("kind",))),
            "budget": specs.record(
                {
                    "most": specs.at_least(0),
                    "from_count": specs.at_least(0),
                    "percent": specs.at_least(0),
                }
            ),
        }
    ),
    "ignore_differences": specs.list_of(specs.IGNORE, 200),
}
RULES = {
    *("sources", "source_namespaces", "destinations", "cluster_kinds", "namespaced_kinds", "windows"),
    *("only_project_clusters", "switches", "limits", "health", "timeouts", "governs"),
    *OTHER_RULES,
}
# Described by the design, and not built yet.
WAITS = {
    "roles",
    "integrity",
    "service_accounts",
    "ceiling",
    "template",
    "remote_hosts",
}
_DESTINATION = ("destination_not_permitted", "destination")


def judge_application(values: Mapping[str, Any]) -> None:
    """Raises InvalidDocument with every rule of the Project that `values` (of `applications.read`) would break."""
    project: Project = values["project"]
    rules, _ = policy.read_rules(project.rules)
    serving = [repository_for(source["repoURL"], project) for source in values["sources"]]
    own = {row.normal_url for row in serving if row is not None and row.project_id == project.id}
    others = 0
    if "applications" in rules.limits:  # counting grows with the project: only where it can refuse
        others = Application.objects.filter(project=project).exclude(name=values["name"]).count()
    facts = _facts(project, values, own, others + 1)
    found = policy.judge_application(_fence(project, rules), facts)
    if not found:
        return
    fields: dict[str, list[str]] = {}
    for violation in found:
        _, path = _ABOUT.get(violation.rule, _DESTINATION)
        fields.setdefault(path, []).append(f"rule {violation.rule}: {violation.reason}")
    code, _ = _ABOUT.get(found[0].rule, _DESTINATION)
    raise InvalidDocument(fields, code=code, hint=found[0].hint or "ask an owner of the project")


def rule_errors(rules: Any) -> dict[str, list[str]]:
    """Errors of a rules document by path; empty when every part of it can be read (PR2).

    A misspelt `window` would be a freeze that is none, and a budget that is no number the end of every pass.
    """
    errors = {**policy.read_rules(rules)[1], **guard_errors(rules)}
    if isinstance(rules, Mapping):
        for name in rules:
            if name in WAITS:
                errors[str(name)] = ["is not supported yet"]
            elif name not in RULES:
                errors[str(name)] = [f"is not a rule; known are {', '.join(sorted(RULES))}"]
        for name, read in OTHER_RULES.items():
            if rules.get(name) is not None:
                read(rules[name], name, errors)
    for kind, rule in read_health(rules.get("health") if isinstance(rules, Mapping) else None).items():
        if isinstance(rule, BrokenRule):
            errors[f"health.{kind}"] = [rule.message]
    return errors


def would_break(project: Project, rules: Mapping[str, Any]) -> list[str]:
    """Names of the Applications that are permitted now and would not be with these rules (PR19)."""
    before, _ = policy.read_rules(project.rules)
    after, _ = policy.read_rules(rules)
    apps = list(Application.objects.filter(project=project).select_related("cluster").order_by("name"))
    own = set(Repository.objects.filter(project=project).values_list("normal_url", flat=True))
    broken = []
    for app in apps:
        facts = _facts(project, _values(app), own, len(apps))
        if policy.judge_application(_fence(project, after), facts) and not policy.judge_application(
            _fence(project, before), facts
        ):
            broken.append(app.name)
    return broken


def judge_of(app: Application) -> Callable[[ResourceKey], list[policy.Violation]]:
    """What the Project says to live objects that are to be read, deleted or acted upon; its rules are read once."""
    rules, _ = policy.read_rules(app.project.rules)
    fence, place = _fence(app.project, rules), _destination(app.cluster, app.destination_namespace)
    return lambda key: policy.judge_key(fence, place, key, namespaced=bool(key.namespace))


def _fence(project: Project, rules: policy.Rules) -> policy.Fence:
    return policy.Fence(project.name, rules, archived=project.archived)


def _values(app: Application) -> dict[str, Any]:
    return {
        "name": app.name,
        "sources": app.sources,
        "cluster": app.cluster,
        "destination_namespace": app.destination_namespace,
        "sync_policy": app.sync_policy,
    }


def _facts(
    project: Project, values: Mapping[str, Any], own: set[str], applications: int
) -> policy.ApplicationFacts:
    """An address that the Project registered for itself is its own; another Project's row never serves here."""
    automated = (values["sync_policy"] or {}).get("automated")
    on = is_automated(values["sync_policy"])
    return policy.ApplicationFacts(
        values["name"],
        sources=tuple(
            policy.SourceFact(
                url=source["repoURL"],
                scoped_to=project.name if normalise_url(source["repoURL"]) in own else "",
                uses_plugin=bool(source.get("plugin")),
            )
            for source in values["sources"]
        ),
        destination=_destination(values["cluster"], values["destination_namespace"]),
        automated=on,
        prune=on and bool((automated or {}).get("prune")),
        applications=applications,
    )


def _destination(cluster: Cluster, namespace: str) -> policy.Destination:
    return policy.Destination(
        asked_name=cluster.name,
        server=cluster.server,
        name=cluster.name,
        namespace=namespace,
        scoped_to=cluster.scope,
        namespaces=tuple(cluster.namespaces),
        cluster_resources=cluster.cluster_resources,
    )
