"""Views that misbehave on request; routed only when LAB_FAULTS is set."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, NoReturn

from django.http import HttpResponse, JsonResponse

from api.models import Activity

if TYPE_CHECKING:
    from django.http import HttpRequest

logger = logging.getLogger("api.faults")


def complain(request: HttpRequest) -> JsonResponse:
    """Log an error that is handled, and answer as if nothing were."""
    logger.error("The mail service refused a message; it is tried again later")
    return JsonResponse({"asked": request.path})


def warn(request: HttpRequest) -> JsonResponse:
    """Log a warning of the kind that every system has and nobody minds."""
    logger.warning("The mail service was slow: a message took %d s", 5 + time.time_ns() % 40)
    return JsonResponse({"asked": request.path})


def fail(request: HttpRequest) -> NoReturn:
    """Raise, as a programming error would: 500 and a traceback in the log."""
    message = f"asked to fail by {request.path}"
    raise RuntimeError(message)


def slow(request: HttpRequest) -> JsonResponse:
    """Answer after `seconds` of the query string, at most a minute."""
    seconds = min(float(request.GET.get("seconds", "1")), 60.0)
    time.sleep(seconds)
    return JsonResponse({"slept": seconds})


def one_by_one(request: HttpRequest) -> JsonResponse:
    """Ask for a hundred rows at once, and then for the user of each by itself: N+1 statements."""
    names = [one.user.username for one in Activity.objects.order_by("-id")[:100]]
    return JsonResponse({"asked": request.path, "users": len(set(names))})


def greet(request: HttpRequest) -> HttpResponse:
    """Answer a page with `name` of the query string in it as it came, as a careless template would."""
    return HttpResponse(f"<!doctype html><title>Synk</title><p>Welcome back, {request.GET.get('name', 'you')}.</p>")
