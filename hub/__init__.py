"""Room *hub*: who wants what where.

May live here: Projects, Repositories, Applications, operations, approvals, the doors (REST, admin, commands) and
the hall (`hub/reconcile.py`), the one place where the rooms `clusters` and `notifications` meet.
May not: talking to a Kubernetes API (that is `clusters`), to Slack or mail (that is `notifications`).
"""
