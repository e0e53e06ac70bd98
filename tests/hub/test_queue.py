"""What comes from the queue, and when nothing comes (security-and-reliability.md F5, H12)."""

from __future__ import annotations

import json
import pickle
import uuid
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.utils import timezone
from kombu.exceptions import ContentDisallowed
from kombu.serialization import loads, prepare_accept_content

from hub.celery import app
from hub.models import WorkerProcess
from hub.services import heartbeats

TASK = [[str(uuid.uuid4())], {}, {}]


@pytest.mark.parametrize(
    ("content_type", "encoding", "body"),
    [
        ("application/x-python-serialize", "binary", pickle.dumps(TASK)),
        ("application/x-yaml", "utf-8", yaml.safe_dump(TASK)),
        ("application/x-msgpack", "binary", b"\x90"),
    ],
    ids=["pickle", "yaml", "msgpack"],
)
def test_f5_only_json_is_read_from_the_queue(content_type: str, encoding: str, body: Any) -> None:
    accepted = prepare_accept_content(app.conf.accept_content)
    with pytest.raises(ContentDisallowed):
        loads(body, content_type, encoding, accept=accepted)
    assert loads(json.dumps(TASK), "application/json", "utf-8", accept=accepted) == TASK


def test_f5_tasks_results_and_events_are_written_as_json() -> None:
    found = {app.conf.task_serializer, app.conf.result_serializer, app.conf.event_serializer}
    assert found == {"json"}
    assert app.conf.task_ignore_result is True


@pytest.mark.django_db
def test_h12_a_dead_tick_is_an_alarm_after_two_periods(capsys: pytest.CaptureFixture[str]) -> None:
    heartbeats.beat("tick")
    call_command("alive", "tick")
    WorkerProcess.objects.update(seen_at=timezone.now() - timezone.timedelta(seconds=11))
    with pytest.raises(SystemExit) as ended:
        call_command("alive", "tick")
    assert ended.value.code == 1
    assert "last beat 11 s ago" in capsys.readouterr().out
