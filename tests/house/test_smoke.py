import pytest

from hub.models import HubIdentity, Project


@pytest.mark.django_db
def test_a_fresh_hub_has_an_identity_and_an_empty_default_project() -> None:
    identity = HubIdentity.objects.get()
    assert len(identity.id) == 12
    assert len(identity.mask_key.reveal()) == 64
    assert Project.objects.get(name="default").rules == {}


@pytest.mark.django_db(transaction=True)
def test_transactional_tests_keep_the_first_rows() -> None:
    assert len(HubIdentity.objects.get().mask_key.reveal()) == 64
