"""Sources, purely: addresses, refs and Revisions, what a Source may say, limits, when to look again.

May live here: functions of texts and values. May not: Git itself (`hub.source`), rendering (`hub.render`).
"""

from hub.core.sources.access import RepositoryAccess
from hub.core.sources.limits import DEFAULT_LIMITS, SourceLimits, limit_error
from hub.core.sources.refs import (
    RefMove,
    RefTable,
    Resolution,
    SourceWarning,
    is_full_id,
    is_safe_ref,
    moved_refs,
    resolve,
)
from hub.core.sources.spec import DirectoryOptions, Source, parse_sources, source_errors
from hub.core.sources.urls import (
    RepositoryUrl,
    best_template,
    normalise_url,
    parse_url,
    shown,
    template_covers,
    webhook_key,
)

__all__ = [
    "DEFAULT_LIMITS",
    "DirectoryOptions",
    "RefMove",
    "RefTable",
    "RepositoryAccess",
    "RepositoryUrl",
    "Resolution",
    "Source",
    "SourceLimits",
    "SourceWarning",
    "best_template",
    "is_full_id",
    "is_safe_ref",
    "limit_error",
    "moved_refs",
    "normalise_url",
    "parse_sources",
    "parse_url",
    "resolve",
    "shown",
    "source_errors",
    "template_covers",
    "webhook_key",
]
