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


def forget(role: str) -> None:
    """This process ends: it does not count as alive any more."""
    WorkerProcess.objects.filter(id=f"{role}@{process_name()}").delete()


def every(role: str, seconds: float) -> bool:
    """True once per so many seconds over all processes: the row of this role is moved by whoever comes first."""
    limit = Now() - timedelta(seconds=seconds)
    name = f"{role}@hub"
    if WorkerProcess.objects.filter(id=name, seen_at__lt=limit).update(seen_at=Now()):
        return True
    _, made = WorkerProcess.objects.get_or_create(id=name, defaults={"role": role, "seen_at": timezone.now()})
    return made


def ages(host: str = "") -> dict[str, float]:
    """Seconds since the newest beat per role, of one host or of all; absent roles never beat. By database time."""
    newest: dict[str, float] = {}
    rows = WorkerProcess.objects.filter(id__contains=f"@{host}:") if host else WorkerProcess.objects.all()
    for role, seen, now in rows.values_list("role", "seen_at", Now()):
        age = max(0.0, (now - seen).total_seconds())
        newest[role] = min(age, newest.get(role, age))
    return newest


def forget_dead() -> None:
    """Processes that are gone for a day; what is done once per so many seconds is no process."""
    dead = WorkerProcess.objects.filter(seen_at__lt=Now() - timedelta(days=1))
    dead.exclude(id__endswith="@hub").delete()
