"""What the admin site shows."""

from django.contrib import admin

from api import models

admin.site.register([models.Activity, models.Project, models.Task, models.Comment, models.Team])
