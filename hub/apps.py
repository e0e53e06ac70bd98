"""Django's entry to the room."""

from importlib import import_module

from django.apps import AppConfig


class RoomConfig(AppConfig):
    name = "hub"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        import_module("hub.checks")  # importing registers them
