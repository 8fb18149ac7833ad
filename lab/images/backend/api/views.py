"""The HTTP API."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.cache import cache
from django.core.exceptions import ValidationError as PasswordRefused
from django.db import DatabaseError, connection
from django.http import JsonResponse
from django_redis import get_redis_connection
from redis.exceptions import RedisError
from rest_framework import serializers
from rest_framework.authtoken.models import Token
from rest_framework.exceptions import AuthenticationFailed, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

from api.models import Activity, Task

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest
    from rest_framework.request import Request

logger = logging.getLogger("api.views")
TASK_CACHE_SECONDS = 15
COMPACT = {"separators": (",", ":")}


def health(_request: HttpRequest) -> JsonResponse:
    """200 when the database answers, and Redis where there is one, else 503 with what does not."""
    failed = []
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        failed.append("database")
    try:
        if settings.REDIS_URL:
            get_redis_connection("default").ping()  # a lookup would always be a miss
    except (RedisError, OSError):
        failed.append("redis")
    if failed:
        return JsonResponse({"status": "error", "failed": failed}, status=503, json_dumps_params=COMPACT)
    return JsonResponse({"status": "ok"}, json_dumps_params=COMPACT)


def status(_request: HttpRequest) -> JsonResponse:
    """A public figure straight from the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM api_task WHERE status <> 'done'")
        open_tasks = cursor.fetchone()[0]
    return JsonResponse({"status": "ok", "open_tasks": open_tasks})


class LoginSerializer(serializers.Serializer):
    """A login: refuses what is no username with its password."""

    username = serializers.CharField()
    password = serializers.CharField(trim_whitespace=False)

    def validate(self, attrs: dict) -> dict:
        """Put the user beside what was sent, or refuse."""
        user = authenticate(**attrs)
        if user is None:
            raise AuthenticationFailed
        return {**attrs, "user": user}


class TokenView(APIView):
    """Login: username and password for a token."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get_authenticate_header(self, _request: Request) -> str:
        """Say 401, not 403, to a refused login."""
        return "Token"

    def post(self, request: Request) -> Response:
        """Answer the user's token, or refuse."""
        login = LoginSerializer(data=request.data)
        login.is_valid(raise_exception=True)
        user = login.validated_data["user"]
        token, _ = Token.objects.get_or_create(user=user)
        record(user, "login", "session")
        return Response({"token": token.key})


class RegisterView(APIView):
    """Registration of an account that an administrator has to activate."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def post(self, request: Request) -> Response:
        """Make an inactive user."""
        username = str(request.data.get("username", ""))[:150]
        password = str(request.data.get("password", ""))
        users = get_user_model().objects
        if not username or users.filter(username=username).exists():
            raise ValidationError({"username": "Already taken, or empty."})
        try:
            validate_password(password)
        except PasswordRefused as refused:
            raise ValidationError({"password": refused.messages}) from refused
        user = users.create_user(username, password=password, is_active=False)
        return Response({"id": user.pk}, status=201)


class TasksView(APIView):
    """Tasks."""

    def get(self, _request: Request) -> Response:
        """The newest fifty, from the cache when it has them."""
        tasks = cache.get("tasks:newest")
        if tasks is None:
            fields = ("id", "title", "status", "priority", "updated_at")
            tasks = list(Task.objects.order_by("-id").values(*fields)[:50])
            cache.set("tasks:newest", tasks, timeout=TASK_CACHE_SECONDS)
        return Response(tasks)

    def post(self, request: Request) -> Response:
        """Make one."""
        title = str(request.data.get("title", "")).strip()[:200]
        if not title:
            raise ValidationError({"title": "Must not be empty."})
        task = Task.objects.create(title=title, creator=request.user, project_id=request.data.get("project"))
        record(request.user, "created", f"task {task.pk}")
        cache.delete("tasks:newest")
        logger.info("Task %s created", task.pk)
        return Response({"id": task.pk}, status=201)


class ActivityView(APIView):
    """What happened lately."""

    def get(self, _request: Request) -> Response:
        """The newest fifty entries."""
        fields = ("id", "activity_user", "action", "item", "created_at")
        return Response(list(Activity.objects.order_by("-id").values(*fields)[:50]))


def record(user: AbstractBaseUser, action: str, item: str) -> None:
    """Write one entry of the activity stream."""
    Activity.objects.create(
        user=user, activity_user=user.username, action=action, item=item, timestamp="just now", avatar=""
    )
