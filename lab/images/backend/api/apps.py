"""The application's registration with Django."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """The application `api`."""

    name = "api"
    default_auto_field = "django.db.models.BigAutoField"
