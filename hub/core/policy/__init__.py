"""May we? The rules of a Project as values, and every violation with its reason (access-and-api.md 1.1 to 1.4).

May live here: reading a rules document, judging Applications and objects against it. May not: rows, requests, a clock.

    rules, errors = read_rules(project.rules)             # errors: {path: [sentence]}; refuse to save when not empty
    fence = Fence(project.name, rules, ceilings=(...), archived=project.archived)
    judge_application(fence, ApplicationFacts(name, sources=(SourceFact(url),), destination=Destination(...)))
    judge_objects(fence, destination, manifests, discovery, brought=..., hub=HubPlaces(...))
    judge_key(fence, destination, key, namespaced=True, hub=...)          # prune, cascade, logs, actions

Each returns a list of `Violation(rule, object, reason, hint)`: all of them, in the order of the rules, never the first
alone. `violations_by_key(...)` gives `{ResourceKey: sentence}` for `PlanFacts.violations` and `Observed.violations`.
An unreadable rules document never opens the fence: what cannot be read allows nothing and denies everything.
"""

from hub.core.policy.facts import (
    ApplicationFacts,
    Destination,
    Fence,
    HubPlaces,
    SourceFact,
    Violation,
)
from hub.core.policy.judge import judge_application, judge_key, judge_objects, violations_by_key
from hub.core.policy.patterns import normal_url
from hub.core.policy.rules import Rules, read_rules

__all__ = [
    "ApplicationFacts",
    "Destination",
    "Fence",
    "HubPlaces",
    "Rules",
    "SourceFact",
    "Violation",
    "judge_application",
    "judge_key",
    "judge_objects",
    "normal_url",
    "read_rules",
    "violations_by_key",
]
