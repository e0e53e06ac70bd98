"""Links of imported templates lead to the application (notifications.md 4.1, `argocdUrl`)."""

from __future__ import annotations

import pytest
from django.test import Client

from hub.models import User


@pytest.mark.parametrize("path", ["/applications/web?operation=true", "/applications/argocd/web"])
def test_the_usual_link_to_an_application_finds_it(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/hub/application/?q=web")


def test_the_answer_is_the_same_for_what_is_not_there(client: Client) -> None:
    assert client.get("/applications/nobody&x=1")["Location"] == "/admin/hub/application/?q=nobody%26x%3D1"


@pytest.mark.django_db
def test_the_page_behind_it_is_there_for_who_signs_in(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root", "r@example.com", "x"))
    assert client.get("/applications/web", follow=True).status_code == 200
