"""The sample application of the demo: a shop in two waves."""

from __future__ import annotations

README = """# A shop in two waves
Wave 0 is the database with its settings, wave 1 the web tier, which waits until wave 0 is healthy.
"""
CONFIG = """apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  colour: blue
  greeting: Hello from the hub
"""
WORKLOAD = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels: {{app: {name}}}
  annotations:
    argocd.argoproj.io/sync-wave: "{wave}"
spec:
  replicas: {replicas}
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}}}
    spec:
      containers:
        - name: main
          image: registry.example.com/shop/{name}:1.0
          ports:
            - containerPort: {port}
---
apiVersion: v1
kind: Service
metadata:
  name: {name}
  annotations:
    argocd.argoproj.io/sync-wave: "{wave}"
spec:
  selector: {{app: {name}}}
  ports:
    - port: {port}
"""

FILES = {
    "README.md": README,
    "shop/1-config.yaml": CONFIG,
    "shop/2-database.yaml": WORKLOAD.format(name="database", wave=0, replicas=1, port=5432),
    "shop/3-web.yaml": WORKLOAD.format(name="web", wave=1, replicas=2, port=8080),
}
