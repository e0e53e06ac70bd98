"""The admin site for platform teams, one module per noun.

May live here: what pages show and which service an action calls. May not: writes of its own, secrets.
"""

from hub.admin import applications, clusters, operations, people, projects, records, repositories

__all__ = ["applications", "clusters", "operations", "people", "projects", "records", "repositories"]
