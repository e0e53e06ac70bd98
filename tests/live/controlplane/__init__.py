"""A real Kubernetes control plane for tests, built from Go modules; no container, no download but modules.

Here lives what builds it (build.py, go.mod files) and what runs it (instance.py, stages.yaml).
Nothing here knows the hub, and everything is standard library, so that it also serves `make demo`.
`python -m tests.live.controlplane` starts one instance for a person.
"""
