"""Triggers of both kinds as pure functions over their stored state (notifications.md 3.1 and 3.2).

May live here: reading triggers, the edge and once-per state machine of imported ones, the alarms of native ones.
May not: subscriptions, templates, or where the state is stored.

Imported (argocd-notifications):

    read_trigger(name, yaml_text) -> Trigger                           conditions that cannot be read carry `.problem`
    evaluate_trigger(trigger, states, scope, clock, born=…, active_since=…) -> Verdict(states, sends, problems, results)
    taken_over(annotation_json, trigger, namespace, now) -> states       from `notified.notifications.argoproj.io`
    is_settled(application_view) -> bool                                 when a tick may look at an app

Native:

    read_native(mapping) -> NativeTrigger                                ConfigError
    wants(rule, event, scope, clock) -> bool                             ExpressionError
    observe(rule, alarm | None, event, now) -> Told(alarm, tells)      tick(rule, alarm, now) -> Told(alarm, tells)
"""

from notifications.core.triggers.alarms import Alarm, Tell, Told, observe, tick
from notifications.core.triggers.conditions import Trigger, TriggerCondition, condition_key, read_trigger
from notifications.core.triggers.imported import (
    ConditionState,
    Problem,
    Result,
    Send,
    Verdict,
    evaluate_trigger,
    is_settled,
    taken_over,
)
from notifications.core.triggers.native import NativeTrigger, read_native, wants

__all__ = [
    "Alarm",
    "ConditionState",
    "NativeTrigger",
    "Problem",
    "Result",
    "Send",
    "Tell",
    "Told",
    "Trigger",
    "TriggerCondition",
    "Verdict",
    "condition_key",
    "evaluate_trigger",
    "is_settled",
    "observe",
    "read_native",
    "read_trigger",
    "taken_over",
    "tick",
    "wants",
]
