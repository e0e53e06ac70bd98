"""The pages that answer before anybody is known say one fixed sentence, and nothing that was sent to them (A11)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from hub.models import User

pytestmark = pytest.mark.django_db
ECHO = "echo<b>'\"77aa01"
PAGES = ("/admin/login/", "/admin/", "/approvals/7", "/link/{echo}", "/api/v1/session", "/api/v1/me")
NAMES = ("next", "username", "password", "error", "message", "state", "code", "digest", "decision", "q")


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", NAMES)
def test_a11_no_text_of_a_parameter_comes_back(page: str, name: str) -> None:
    browser = Client()
    address = page.replace("{echo}", "echo77aa01")
    wrong: dict[str, Any] = {"username": "nobody", "password": "wrong", name: ECHO}
    answers = [
        browser.get(address, {name: ECHO}),
        browser.post(address, wrong),
        browser.post(address, wrong, content_type="application/json"),
        browser.post(f"{address}?{name}=echo77aa01", wrong),
    ]
    for answer in answers:
        assert "77aa01" not in answer.content.decode(), (answer.status_code, address, name)
        assert answer.status_code in {200, 302, 400, 401, 404, 405, 415, 422, 429}


@pytest.mark.parametrize("page", ["/admin/login/", "/approvals/7"])
def test_a11_a_failure_says_nothing_of_the_account(page: str, dana: User, alice: User) -> None:
    """Of staff, of others and of nobody: the same page, but for its CSRF token."""
    said = set()
    for username in (dana.username, alice.username, "nobody", "x" * 3000):
        answer = Client().post(page, {"username": username, "password": "wrong"})
        said.add((answer.status_code, re.sub(r'value="[^"]{64}"', "", answer.content.decode())))
    assert len(said) == 1


@pytest.mark.parametrize("page", ["/approvals/7", "/link/nothing"])
def test_e1_pages_for_people_take_no_script_from_anywhere(page: str, dana: User) -> None:
    browser = Client()
    for _ in ("nobody", "dana"):
        answer = browser.get(page)
        assert answer["Content-Security-Policy"].startswith("default-src 'none'")
        assert (answer["X-Content-Type-Options"], answer["X-Frame-Options"]) == ("nosniff", "DENY")
        browser.force_login(dana)
