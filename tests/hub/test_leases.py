"""One owner per application at a time (house.md 4.2; security-and-reliability.md H3, H11, H21)."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from hub.models import Application
from hub.services import leases
from tests.hub.factories import application

pytestmark = pytest.mark.django_db(transaction=True)


def test_h3_ten_claims_at_once_have_one_winner() -> None:
    app = application()
    won: list[leases.Lease] = []
    start = threading.Barrier(10)

    def claim() -> None:
        start.wait()
        lease = leases.claim(app.id)
        if lease is not None:
            won.append(lease)
        connections.close_all()

    threads = [threading.Thread(target=claim) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    leases.release(won[0])


def test_a_released_lease_is_free_and_the_fence_rises() -> None:
    app = application()
    first = leases.claim(app.id)
    assert first is not None
    assert leases.claim(app.id) is None
    leases.release(first)
    second = leases.claim(app.id)
    assert second is not None
    assert second.fence == first.fence + 1
    assert second.lost_before == 0


def test_h1_a_lease_of_a_killed_pass_lapses_and_is_counted() -> None:
    app = application()
    assert leases.claim(app.id) is not None
    Application.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    again = leases.claim(app.id)
    assert again is not None
    assert again.lost_before == 1


def test_h21_a_renewal_that_finds_another_fence_marks_the_lease_lost() -> None:
    app = application()
    lease = leases.claim(app.id)
    assert lease is not None
    Application.objects.update(fence=99)
    leases.keeper.renew(lease)
    with pytest.raises(leases.LeaseLost):
        lease.check()


def test_a_renewal_that_comes_after_the_end_of_a_pass_takes_no_lease() -> None:
    app = application()
    lease = leases.claim(app.id)
    assert lease is not None
    leases.release(lease)
    leases.keeper.renew(lease)
    assert Application.objects.get().lease_until is None


def test_h11_the_end_of_a_lease_is_database_time() -> None:
    app = application()
    leases.claim(app.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT strftime('%s', lease_until) - strftime('%s', 'now') FROM hub_application"
            if connection.vendor == "sqlite"
            else "SELECT extract(epoch from lease_until - clock_timestamp()) FROM hub_application"
        )
        assert 55 <= cursor.fetchone()[0] <= 61


def test_giving_up_a_lost_lease_leaves_the_one_that_was_taken_since() -> None:
    app = application()
    lost = leases.claim(app.id)
    Application.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    taken = leases.claim(app.id)
    assert lost is not None
    assert taken is not None
    leases.release(lost)
    Application.objects.update(lease_until=timezone.now() + timedelta(seconds=1))
    leases.keeper.renew_all()
    assert Application.objects.get().lease_until > timezone.now() + timedelta(seconds=30)


def test_the_keeper_ends_while_nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_EVERY_S", 0.01)
    keeper = leases._Keeper()
    lease = leases.claim(application().id)
    assert lease is not None
    keeper.hold(lease)
    thread = keeper._thread
    assert thread is not None
    keeper.drop(lease)
    thread.join(10)
    assert not thread.is_alive()
    leases.release(lease)
