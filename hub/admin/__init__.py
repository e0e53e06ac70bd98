"""The admin site for platform teams, one module per noun.

May live here: what pages show and which service an action calls. May not: writes of its own, secrets.
"""

import notifications.admin
from hub.admin import applications, approvals, clusters, operations, people, projects, records, repositories
from hub.admin.site import site

__all__ = [
    "applications",
    "approvals",
    "clusters",
    "operations",
    "people",
    "projects",
    "records",
    "repositories",
]

notifications.admin.register(site, records.audited)
