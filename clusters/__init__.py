"""Room *clusters*: what is there and how to change it. A gitops engine.

May live here: manifests, diff, hooks, health, plan; the only gate to the Kubernetes API; the sandbox.
May not: any word about applications as records, projects, people or notifications.
"""
