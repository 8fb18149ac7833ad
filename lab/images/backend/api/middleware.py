"""Rate limit of the application, counted in Redis so that all replicas share it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.cache import cache
from django.http import JsonResponse
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

logger = logging.getLogger("api.middleware")
security_logger = logging.getLogger("api.security")


class RateLimitMiddleware:
    """Refuses with 429 what one client asks of the API beyond the limit per minute."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Take the next handler of the chain."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Count the request; refuse it when its client is over the limit."""
        limited = request.path.startswith("/api/") and not request.path.startswith("/api/lab/")
        if limited and self._over_limit(client_address(request), request.path):
            return JsonResponse({"detail": "Too many requests."}, status=429)
        return self.get_response(request)

    def _over_limit(self, address: str, path: str) -> bool:
        key = f"ratelimit:ip:{address}"
        window = f"{key}:{int(time.time() // 60)}"
        try:
            cache.add(window, 0, timeout=120)
            count = cache.incr(window)
        except (RedisError, ValueError):
            # A limiter that fails closed would turn a lost cache into an outage.
            return False
        if count <= settings.API_RATE_LIMIT:
            return False
        security_logger.warning("Rate limit exceeded for %s", key)
        logger.warning("IP %s rate limited: %s", address, path)
        return True


def client_address(request: HttpRequest) -> str:
    """The client as the proxy saw it, or the peer when no proxy stood between."""
    return request.META.get("HTTP_X_REAL_IP") or request.META.get("REMOTE_ADDR", "")
