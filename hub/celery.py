"""The Celery application: one queue per shard and `any`; messages carry ids only (house.md 4.1)."""

from celery import Celery

app = Celery("hub")
# In every thread of every process: a shared task must never fall back to an app without our broker.
app.set_default()
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["hub.tasks"], related_name="hints")
app.autodiscover_tasks(["notifications"])
