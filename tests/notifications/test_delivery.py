"""States, retries, lost answers, threads: what happens between owed and sent (notifications.md 6 and 12)."""

from __future__ import annotations

import json

import pytest

from notifications.models import Attempt, Delivery, Destination, EventCopy, Service, Thread
from notifications.services import (
    cancel,
    deliver,
    dispatch,
    due_deliveries,
    enable,
    mark_sent,
    pace,
    resend,
    send_test,
)
from tests.notifications.conftest import FakeClock, event, operation, run, slack_service, states, subscribe
from tests.notifications.receivers import HttpReceiver
from tests.slackserver import SlackServer

pytestmark = pytest.mark.django_db


def _one(slack: SlackServer, **more: object) -> int:
    slack_service(slack)
    subscribe("slack:#a", events=["sync-failed"])
    (delivery,) = dispatch(event(**more))
    return delivery


def test_a_failed_once_per_delivery_is_retried(slack: SlackServer, time_: FakeClock) -> None:
    """17: Slack answers 503 twice, then ok: one message, three attempts."""
    _one(slack)
    slack.fault("chat.postMessage", times=2, status=503)
    run(time_)
    assert len(slack.messages("a")) == 1
    assert list(Attempt.objects.values_list("outcome", flat=True)) == ["clean", "clean", "done"]
    assert states() == ["sent"]


@pytest.mark.parametrize("acts", [True, False], ids=["arrived", "did not arrive"])
def test_a_lost_answer_is_asked_for_and_never_repeated_blindly(
    slack: SlackServer, time_: FakeClock, acts: bool
) -> None:
    _one(slack)
    slack.fault("chat.postMessage", lost=True, acts=acts)
    run(time_)
    assert len(slack.messages("a")) == 1
    assert len(slack.made("chat.postMessage")) == (1 if acts else 2)
    assert len(slack.made("conversations.history")) == (1 if acts else 2)
    assert states() == ["sent"]
    delivery = Delivery.objects.get()
    assert delivery.external["ts"] == slack.messages("a")[0]["ts"]


def test_a_lost_answer_that_cannot_be_asked_for_is_held_and_shown(
    slack: SlackServer, time_: FakeClock
) -> None:
    slack.tokens["xoxb-good-token-1"] -= {"channels:history"}
    _one(slack)
    slack.fault("chat.postMessage", lost=True, acts=True)
    run(time_, rounds=120)
    assert states() == ["unconfirmed"]
    assert len(slack.messages("a")) == 1
    mark_sent(Delivery.objects.get().pk, "alice")
    assert states() == ["sent"]


def test_an_error_answer_that_acted_is_found(slack: SlackServer, time_: FakeClock) -> None:
    _one(slack)
    slack.fault("chat.postMessage", error="fatal_error", acts=True)
    run(time_)
    assert len(slack.messages("a")) == 1
    assert states() == ["sent"]


def test_a_blind_channel_is_held_not_repeated(time_: FakeClock) -> None:
    """38: webhook connection cut after the request: one request, `unconfirmed`, Re-send makes the second."""
    with HttpReceiver() as hook:
        hook.answers.append(None)
        Service.objects.create(name="hook", type="webhook", settings=json.dumps({"url": hook.url}))
        subscribe("hook", events=["sync-failed"])
        (first,) = dispatch(event())
        run(time_)
        assert states() == ["unconfirmed"]
        time_.forward(days=2)
        run(time_)
        assert len(hook.requests) == 1
        second = resend(first, "alice")
        run(time_)
        assert states() == ["unconfirmed", "sent"]
        keys = [request.headers["idempotency-key"] for request in hook.requests]
        assert len(keys) == 2
        assert keys[0].startswith(f"{first}-")
        assert keys[1].startswith(f"{second}-")


def test_an_idempotent_webhook_is_repeated_with_the_same_key(time_: FakeClock) -> None:
    with HttpReceiver() as hook:
        hook.answers.append(None)
        Service.objects.create(name="hook", type="webhook", settings=json.dumps({"url": hook.url}))
        subscribe("hook", events=["sync-failed"])
        dispatch(event())
        Destination.objects.update(idempotent=True)
        run(time_)
        assert states() == ["sent"]
        assert len({request.headers["idempotency-key"] for request in hook.requests}) == 1
        assert len(hook.requests) == 2


def test_retry_keys_only_shorten_the_first_waits(time_: FakeClock) -> None:
    with HttpReceiver() as hook:
        hook.answers += [503, 503]
        settings = {"url": hook.url, "retryWaitMin": "100ms", "retryWaitMax": "1h"}
        Service.objects.create(name="hook", type="webhook", settings=json.dumps(settings))
        subscribe("hook", events=["sync-failed"])
        (delivery,) = dispatch(event())
        for _ in range(3):
            deliver(delivery)
            time_.forward(seconds=1)
        assert states() == ["sent"]


def test_a_webhook_or_workflow_that_asks_to_wait_keeps_no_other_recipient_waiting() -> None:
    service = Service.objects.create(name="teams", type="teams-workflows")
    one, other = (Destination.objects.create(service=service, recipient=name) for name in "ab")
    assert pace.bucket_name(one, "call") != pace.bucket_name(other, "call")
    assert pace.bucket_name(one, "slack-update") == pace.bucket_name(other, "slack-update")


def test_f16_retry_after_freezes_only_that_channel(slack: SlackServer, time_: FakeClock) -> None:
    """39: 429 for #a with 30 s: #b at once, #a after 30 s, no attempt counted."""
    slack_service(slack)
    subscribe("slack:#a", "slack:#b", events=["sync-failed"])
    slack.fault("chat.postMessage", status=429, headers={"Retry-After": "30"})
    for delivery in dispatch(event()):
        deliver(delivery)
    assert (len(slack.messages("a")), len(slack.messages("b"))) == (0, 1)
    assert Delivery.objects.get(state="pending").attempts == 0
    time_.forward(seconds=29)
    assert due_deliveries() == []
    deliver(Delivery.objects.get(state="pending").pk)
    assert slack.messages("a") == []
    time_.forward(seconds=2)
    run(time_)
    assert len(slack.messages("a")) == 1
    assert Delivery.objects.filter(attempts=1, state="sent").count() == 2


def test_h16_an_hour_of_silence_drains_in_order(slack: SlackServer, time_: FakeClock) -> None:
    """40: channel down 60 min, 30 events of one app, up again: in order or folded, none twice, none lost."""
    slack_service(slack)
    subscribe("slack:#a", events=["deployed"])
    slack.fault("chat.postMessage", times=1000, status=503)
    for number in range(30):
        dispatch(event("deployed", key=f"web/deployed/{number}", summary=f"deployed number {number:02}"))
        time_.forward(minutes=2)
        for delivery in due_deliveries():
            deliver(delivery)
    slack._faults.clear()
    run(time_, rounds=400, step=30)
    first, others = [message["text"] for message in slack.messages("a")]
    assert "number 00" in first
    assert others.splitlines() == [
        "✅ 29 times deployed: web",
        "and 9 more",
        *(f"deployed number {number:02}" for number in range(10, 30)),
    ]
    assert sorted(set(states())) == ["merged", "sent"]


def test_a_revoked_token_is_visible(slack: SlackServer, time_: FakeClock) -> None:
    """42: Service disabled, held, operators told elsewhere; new token and test send: held ones go out."""
    service = slack_service(slack)
    with HttpReceiver() as hook:
        ops = Service.objects.create(name="ops", type="webhook", settings=json.dumps({"url": hook.url}))
        Destination.objects.create(service=ops, recipient="", operators=True)
        Destination.objects.create(service=service, recipient="#ops", operators=True)
        subscribe("slack:#a", "slack:#b", events=["sync-failed"])
        slack.revoked.add("xoxb-good-token-1")
        ids = dispatch(event())
        run(time_)
        service.refresh_from_db()
        assert (service.state, service.state_code) == ("disabled", "token_revoked")
        assert "renew the token" in service.state_reason
        assert sorted(states()) == ["held", "held", "sent"]
        assert b"slack is disabled" in hook.requests[0].body
        later = dispatch(event(key="web/sync-failed/2"))
        assert later == []
        destination = Destination.objects.get(recipient="#a")
        refused = send_test(destination.pk, "alice")
        assert (refused.ok, refused.code) == (False, "token_revoked")
        service.settings = json.dumps({"token": "xoxb-new-token-22", "apiURL": slack.url})
        service.save()
        slack.tokens["xoxb-new-token-22"] = slack.tokens["xoxb-good-token-1"]
        time_.forward(seconds=11)
        assert send_test(destination.pk, "alice").ok
        run(time_)
        assert Delivery.objects.filter(pk__in=ids, state="sent").count() == 2
        assert not Delivery.objects.filter(state="held").exists()
        assert EventCopy.objects.filter(name="destination-enabled").count() == 1


def test_a_lost_channel_disables_its_destination_alone(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    subscribe("slack:#gone", "slack:#b", events=["sync-failed"])
    dispatch(event())
    run(time_)
    gone = Destination.objects.get(recipient="#gone")
    assert (gone.state, gone.state_code) == ("disabled", "channel_not_found")
    assert "invite the app to #gone" in gone.state_reason
    assert Destination.objects.get(recipient="#b").state == "ok"
    assert len(slack.messages("b")) == 1
    slack.channel("gone")
    enable(gone, "alice")
    run(time_)
    assert len(slack.messages("gone")) == 1


def test_what_was_held_for_a_day_expires_visibly(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    subscribe("slack:#gone", events=["sync-failed"])
    dispatch(event())
    run(time_)
    time_.forward(hours=25)
    enable(Destination.objects.get(), "alice")
    assert states() == ["failed"]
    assert Delivery.objects.get().error_code == "expired"


def test_blocks_that_slack_refuses_go_once_more_as_text(slack: SlackServer, time_: FakeClock) -> None:
    _one(slack)
    slack.fault("chat.postMessage", error="invalid_attachments")
    run(time_)
    (message,) = slack.messages("a")
    assert "attachments" not in message
    assert message["text"].startswith("❌")
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.rendered) == ("sent", "fallback")


def test_a_message_that_never_goes_fails_visibly_and_frees_its_lane(
    slack: SlackServer, time_: FakeClock
) -> None:
    _one(slack)
    dispatch(event(key="web/sync-failed/2", summary="the second"))
    slack.fault("chat.postMessage", times=2, error="msg_too_long")
    run(time_)
    assert states() == ["failed", "sent"]
    assert len(slack.messages("a")) == 1


def test_an_unknown_error_is_tried_three_times(slack: SlackServer, time_: FakeClock) -> None:
    _one(slack)
    slack.fault("chat.postMessage", times=9, error="a_new_error")
    run(time_)
    assert states() == ["failed"]
    assert len(slack.made("chat.postMessage")) == 3


def test_what_cannot_be_sent_for_a_day_is_given_up(slack: SlackServer, time_: FakeClock) -> None:
    _one(slack)
    slack.fault("chat.postMessage", times=1000, status=503)
    run(time_, rounds=600, step=300)
    assert states() == ["failed"]


def test_a_deleted_root_starts_a_new_one(slack: SlackServer, time_: FakeClock) -> None:
    """45: root removed by a person, then an update: one new root, once."""
    slack_service(slack)
    subscribe("slack:#a", events=["sync-started", "sync-succeeded", "deployed"])
    dispatch(event("sync-started", operation=operation()))
    run(time_)
    slack.delete("a", slack.messages("a")[0]["ts"])
    dispatch(event("sync-succeeded", operation=operation(phase="Succeeded")))
    run(time_)
    dispatch(event("deployed", operation=operation(phase="Succeeded")))
    run(time_)
    (root,) = slack.messages("a")
    assert root["edits"] == 1
    assert Thread.objects.get().root == root["ts"]


def test_an_edit_window_that_closed_becomes_a_reply(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    subscribe("slack:#a", events=["sync-started", "sync-succeeded"])
    dispatch(event("sync-started", operation=operation()))
    run(time_)
    slack.fault("chat.update", error="edit_window_closed")
    dispatch(event("sync-succeeded", operation=operation(phase="Succeeded")))
    run(time_)
    (root,) = slack.roots("a")
    assert len(slack.replies("a", root["ts"])) == 1
    assert states() == ["sent", "sent"]


def test_a_failure_replies_and_rewrites_the_root(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    subscribe("slack:#a", events=["sync-started", "sync-failed"])
    dispatch(event("sync-started", operation=operation()))
    run(time_)
    slack.fault("chat.update", times=2, status=503)
    dispatch(event("sync-failed", operation=operation(phase="Failed")))
    run(time_)
    (root,) = slack.roots("a")
    assert (len(slack.replies("a", root["ts"])), root["edits"]) == (1, 1)


def test_two_workers_send_one_message(slack: SlackServer, time_: FakeClock) -> None:
    """A worker whose lease lapsed writes nothing: the fence is not its own any more."""
    from notifications.services import claims

    delivery = _one(slack)
    assert claims.claim(delivery, time_())
    stale = Delivery.objects.get(pk=delivery)
    time_.forward(seconds=61)
    run(time_)
    with pytest.raises(claims.Lost):
        claims.write(stale, state="pending")
    assert len(slack.messages("a")) == 1


def test_an_old_event_is_a_visible_failure_and_not_sent_late(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    subscribe("slack:#a", events=["sync-failed"])
    happened = event()
    time_.forward(hours=25)
    assert dispatch(happened) == []
    assert Delivery.objects.get().error_code == "expired"
    assert slack.messages("a") == []


def test_a_deleted_application_is_told_and_the_rest_is_cancelled(
    slack: SlackServer, time_: FakeClock
) -> None:
    slack_service(slack)
    subscribe("slack:#a", events=["sync-failed", "deleted"])
    dispatch(event())
    dispatch(event("deleted", key="web/deleted"))
    run(time_)
    assert states() == ["cancelled", "sent"]
    assert "deleted of web" in slack.messages("a")[0]["text"]


def test_pending_cards_of_a_closed_request_are_cancelled(slack: SlackServer, time_: FakeClock) -> None:
    _one(slack)
    assert cancel(["web/sync-failed/1"], "the request is closed") == 1
    run(time_)
    assert slack.messages("a") == []


def test_test_sends_are_limited(slack: SlackServer, time_: FakeClock) -> None:
    from notifications.errors import NotificationError

    service = slack_service(slack)
    destination = Destination.objects.create(service=service, recipient="#a")
    assert send_test(destination.pk, "alice").ok
    with pytest.raises(NotificationError, match="10 seconds"):
        send_test(destination.pk, "alice")
    assert Delivery.objects.get().kind == "test"


def test_a_destination_is_never_told_through_itself(slack: SlackServer, time_: FakeClock) -> None:
    service = slack_service(slack)
    Destination.objects.create(service=service, recipient="#gone", operators=True)
    Destination.objects.create(service=service, recipient="#ops", operators=True)
    subscribe("slack:#gone", events=["sync-failed"])
    dispatch(event())
    run(time_)
    assert [row.destination.recipient for row in Delivery.objects.filter(kind="operators")] == ["#ops"]
    assert "slack:#gone is disabled" in slack.messages("ops")[0]["text"]


def test_what_waits_behind_in_its_lane_follows_at_once(slack: SlackServer, time_: FakeClock) -> None:
    """A hint that came while the lane was busy is not lost until the next tick."""
    slack_service(slack)
    subscribe("slack:#a", events=["sync-failed"])
    (first,) = dispatch(event())
    (second,) = dispatch(event(key="web/sync-failed/2", summary="the second"))
    deliver(second)
    assert slack.messages("a") == []
    deliver(first)
    assert [message["text"][2:12] for message in slack.messages("a")] == ["sync-faile", "the second"]


def test_figures_count_without_naming_anybody(slack: SlackServer, time_: FakeClock) -> None:
    from notifications.services import figures

    slack_service(slack)
    subscribe("slack:#gone", "slack:#b", events=["sync-failed"])
    dispatch(event())
    dispatch(event(key="web/sync-failed/2"))
    deliver(Delivery.objects.filter(destination__recipient="#gone").order_by("id")[0].pk)
    found = {(name, labels.get("state", "")): value for name, labels, value in figures()}
    assert found[("hub_notifications_deliveries", "held")] == 2.0
    assert found[("hub_notifications_deliveries", "pending")] == 2.0
    assert found[("hub_notifications_destination_disabled", "")] == 1.0
    assert ("hub_notifications_oldest_pending_seconds", "") in found
    assert "#gone" not in str(figures())


def test_history_is_kept_for_its_time_and_no_longer(slack: SlackServer, time_: FakeClock) -> None:
    from notifications.services import prune

    _one(slack)
    run(time_)
    dispatch(event(key="web/sync-failed/2"))
    slack.fault("chat.postMessage", times=9, error="a_new_error")
    run(time_)
    assert states() == ["sent", "failed"]
    prune(time_())
    assert states() == ["sent", "failed"]
    time_.forward(days=31)
    prune(time_())
    assert states() == ["failed"]
    time_.forward(days=60)
    prune(time_())
    assert (states(), EventCopy.objects.count()) == ([], 0)


def test_the_hourly_probe_enables_what_works_again(slack: SlackServer, time_: FakeClock) -> None:
    from notifications.services import tend

    service = slack_service(slack)
    subscribe("slack:#a", events=["sync-failed"])
    slack.revoked.add("xoxb-good-token-1")
    dispatch(event())
    run(time_)
    tend()
    service.refresh_from_db()
    assert service.state == "disabled"
    slack.revoked.clear()
    tend()
    assert states() == ["held"]
    time_.forward(minutes=61)
    tend()
    run(time_)
    assert states() == ["sent"]


def test_an_error_of_our_own_ends_one_attempt_and_not_the_queue(
    slack: SlackServer, time_: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from notifications.channels import slack as module

    def broken(*_: object) -> None:
        raise KeyError("bug")

    _one(slack)
    monkeypatch.setattr(module, "prepare", broken)
    run(time_)
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.error_code, delivery.attempts) == ("failed", "internal", 3)


def test_an_event_that_no_emitter_may_make_does_not_stop_the_others(
    slack: SlackServer, time_: FakeClock
) -> None:
    slack_service(slack)
    subscribe("slack:#a", events=["sync-failed"])
    assert dispatch(event(key="bad", severity="odd")) == []
    assert dispatch(event(key="bad", severity="odd")) == []
    assert EventCopy.objects.get().problems[0]["code"] == "shape"
    assert len(dispatch(event())) == 1


def test_a_trigger_that_breaks_the_hub_breaks_only_itself(
    slack: SlackServer, time_: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from notifications.services import dispatching, save_trigger

    slack_service(slack)
    save_trigger("x", json.dumps({"on": ["sync-failed"]}), "native")
    subscribe("slack:#a", events=["sync-failed"], triggers=["x"])

    def broken(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(dispatching, "wants", broken)
    assert len(dispatch(event())) == 1
    assert EventCopy.objects.get().problems[0]["code"] == "internal"


def test_nobody_named_disables_the_destination(time_: FakeClock) -> None:
    Service.objects.create(
        name="mail", type="email", settings=json.dumps({"host": "127.0.0.1", "from": "h@example.com"})
    )
    subscribe("mail", events=["sync-failed"])
    dispatch(event())
    run(time_)
    assert Destination.objects.get().state_code == "no_recipient"
    assert states() == ["held"]


def test_a_wrong_key_disables_the_service_and_loses_nothing(
    slack: SlackServer, time_: FakeClock, settings: object
) -> None:
    from cryptography.fernet import Fernet

    _one(slack)
    keys = settings.HUB_ENCRYPTION_KEYS  # type: ignore[attr-defined]
    settings.HUB_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]  # type: ignore[attr-defined]
    run(time_)
    assert Service.objects.get().state_code == "no_key"
    settings.HUB_ENCRYPTION_KEYS = keys  # type: ignore[attr-defined]
    enable(Service.objects.get(), "alice")
    run(time_)
    assert states() == ["sent"]


def test_operators_hear_once_a_day_of_what_needs_a_person(slack: SlackServer, time_: FakeClock) -> None:
    from notifications.services import tend

    service = slack_service(slack)
    Destination.objects.create(service=service, recipient="#ops", operators=True)
    place = Destination.objects.create(service=service, recipient="#a")
    tend()
    run(time_)
    assert slack.messages("ops") == []
    now = time_()
    for state in ("unconfirmed", "unconfirmed", "failed", "sent"):
        Delivery.objects.create(
            destination=place,
            dedupe=f"{state}{Delivery.objects.count()}",
            lane="x",
            state=state,
            next_at=now,
            created_at=now,
        )
    for _ in range(3):
        tend()
        run(time_)
    assert [message["text"].splitlines()[0] for message in slack.messages("ops")] == [
        "⚠️ Deliveries that need a person: 2 unconfirmed, 1 failed since yesterday"
    ]
    time_.forward(days=1)
    tend()
    run(time_)
    assert len(slack.messages("ops")) == 2
