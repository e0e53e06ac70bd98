"""The Celery application: one queue per shard and `any`; messages carry ids only (house.md 4.1)."""

from celery import Celery

app = Celery("hub")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["hub", "clusters", "notifications"])
