"""The Django project: settings, routes, the ASGI entry."""
