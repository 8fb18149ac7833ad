"""What the API logs, and answers, when a request goes wrong."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from rest_framework.views import exception_handler

if TYPE_CHECKING:
    from rest_framework.response import Response

logger = logging.getLogger("api.error_handling")


def handle(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Log every exception of the API at ERROR with its traceback, then answer as usual.

    What clients did wrong is logged like what we did wrong: the deployments that this one stands
    for do the same, and whoever counts errors has to cope with it.
    """
    logger.error("API Error: %s", type(exc).__name__, exc_info=exc)
    return exception_handler(exc, context)
