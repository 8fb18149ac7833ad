"""ASGI entry: what daphne serves."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "synk.settings")

application = get_asgi_application()
