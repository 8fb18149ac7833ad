"""Routes."""

from api import faults, views
from django.conf import settings
from django.contrib import admin
from django.urls import path

urlpatterns = [
    path("health/", views.health),
    path("api/status/", views.status),
    path("api/token/", views.TokenView.as_view()),
    path("api/register/", views.RegisterView.as_view()),
    path("api/tasks/", views.TasksView.as_view()),
    path("api/activity/", views.ActivityView.as_view()),
    path("admin/", admin.site.urls),
]
if settings.LAB_FAULTS:
    urlpatterns += [
        path("api/lab/complain/", faults.complain),
        path("api/lab/fail/", faults.fail),
        path("api/lab/greet/", faults.greet),
        path("api/lab/one-by-one/", faults.one_by_one),
        path("api/lab/slow/", faults.slow),
        path("api/lab/warn/", faults.warn),
    ]
