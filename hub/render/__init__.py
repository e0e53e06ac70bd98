"""From a tree of files to manifests, one module per tool.

May live here: directory now; helm, kustomize, jsonnet and plugins take their place beside it.
May not: Git (a tree is handed in), the database, any process not started by `guard.child`.
"""
