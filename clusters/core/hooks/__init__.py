"""What a manifest says about its own order: class, phase, wave, hook policies, conditions (sync-semantics.md 2, 3.7, 12).

May live here: total readers of annotations (any text gives a value and perhaps a warning, never an exception) and
the pure decisions made from them. May not: plans, live state, requests.
"""

from clusters.core.hooks.classify import (
    DELETION_PHASES,
    PHASES,
    Classified,
    annotations_of,
    classify,
    read_wave,
)
from clusters.core.hooks.conditional import (
    HookChoice,
    HookFacts,
    HookSuccess,
    decide_hook,
    fingerprint,
    hook_set_digest,
    images_of,
)
from clusters.core.hooks.running import (
    ARGOCD_HOOK_FINALIZER,
    HOOK_FINALIZERS,
    finished_job,
    generated_name,
    hook_body,
    hook_timeout,
    is_run_once,
    operation_mark,
    runs_to_completion,
)

__all__ = [
    "ARGOCD_HOOK_FINALIZER",
    "DELETION_PHASES",
    "HOOK_FINALIZERS",
    "PHASES",
    "Classified",
    "HookChoice",
    "HookFacts",
    "HookSuccess",
    "annotations_of",
    "classify",
    "decide_hook",
    "fingerprint",
    "finished_job",
    "generated_name",
    "hook_body",
    "hook_set_digest",
    "hook_timeout",
    "images_of",
    "is_run_once",
    "operation_mark",
    "read_wave",
    "runs_to_completion",
]
