"""Room *notifications*: who is told.

May live here: triggers, templates, subscriptions, durable deliveries, channels; events arrive as plain mappings.
May not: any knowledge of GitOps, of the hub's records or of Kubernetes.
"""
