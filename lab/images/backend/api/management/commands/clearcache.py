"""`manage.py clearcache`."""

from django.core.cache import cache
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Empties the application's cache in Redis."""

    help = "Empties the application's cache in Redis."

    def handle(self, *_args: object, **_options: object) -> None:
        """Empty it, and say so."""
        cache.clear()
        self.stdout.write(self.style.SUCCESS("Cache cleared."))
