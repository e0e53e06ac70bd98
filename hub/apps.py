"""Django's entry to the room."""

from django.apps import AppConfig


class RoomConfig(AppConfig):
    name = "hub"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        pass
