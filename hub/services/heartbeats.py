"""Signs of life: a process is alive because it consumed something, not because it answers a ping (OB3)."""

from __future__ import annotations

from datetime import timedelta

from django.db.models.functions import Now
from django.utils import timezone

from hub.models import WorkerProcess
from hub.services.leases import process_name


def beat(role: str) -> None:
    """Say that this process just did something in this role (`worker`, `tick`)."""
    name = f"{role}@{process_name()}"
    if not WorkerProcess.objects.filter(id=name).update(seen_at=Now()):
        WorkerProcess.objects.update_or_create(id=name, defaults={"role": role, "seen_at": timezone.now()})


def every(role: str, seconds: float) -> bool:
    """True once per so many seconds over all processes: the row of this role is moved by whoever comes first."""
    limit = timezone.now() - timedelta(seconds=seconds)
    name = f"{role}@hub"
    if WorkerProcess.objects.filter(id=name, seen_at__lt=limit).update(seen_at=timezone.now()):
        return True
    _, made = WorkerProcess.objects.get_or_create(id=name, defaults={"role": role, "seen_at": timezone.now()})
    return made


def ages() -> dict[str, float]:
    """Seconds since the newest beat per role; absent roles never beat."""
    newest: dict[str, float] = {}
    now = timezone.now()
    for role, seen in WorkerProcess.objects.values_list("role", "seen_at"):
        age = (now - seen).total_seconds()
        newest[role] = min(age, newest.get(role, age))
    return newest


def forget_dead() -> None:
    WorkerProcess.objects.filter(seen_at__lt=timezone.now() - timedelta(days=1)).delete()
