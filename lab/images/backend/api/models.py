"""The tables."""

from django.conf import settings
from django.db import models

USER = settings.AUTH_USER_MODEL


class Record(models.Model):
    """What all tables here have in common: how a row is shown."""

    class Meta:
        """No table of its own."""

        abstract = True

    def __str__(self) -> str:
        """Kind and number."""
        return f"{type(self).__name__} {self.pk}"


class Activity(Record):
    """One entry of the activity stream; `timestamp` is the text shown, `created_at` the time."""

    user = models.ForeignKey(USER, models.CASCADE)
    activity_user = models.CharField(max_length=150)
    action = models.CharField(max_length=100)
    item = models.CharField(max_length=200)
    timestamp = models.CharField(max_length=50)
    avatar = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)


class UserProfile(Record):
    """What a user tells of themselves."""

    user = models.OneToOneField(USER, models.CASCADE)
    display_name = models.CharField(max_length=150)
    time_zone = models.CharField(max_length=64, default="UTC")
    biography = models.TextField(blank=True)


class UserPreference(Record):
    """One setting of one user."""

    user = models.ForeignKey(USER, models.CASCADE)
    name = models.CharField(max_length=64)
    value = models.CharField(max_length=200)

    class Meta:
        """Once per pair."""

        unique_together = (("user", "name"),)


class Team(Record):
    """People who work together."""

    name = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)


class TeamMember(Record):
    """A user's place in a team."""

    team = models.ForeignKey(Team, models.CASCADE)
    user = models.ForeignKey(USER, models.CASCADE)
    role = models.CharField(max_length=20, default="member")

    class Meta:
        """Once per pair."""

        unique_together = (("team", "user"),)


class Invitation(Record):
    """A place offered to an address."""

    team = models.ForeignKey(Team, models.CASCADE)
    email = models.EmailField()
    accepted = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)


class Project(Record):
    """Work of a team."""

    team = models.ForeignKey(Team, models.CASCADE)
    name = models.CharField(max_length=150)
    description = models.TextField(blank=True)
    archived = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)


class Board(Record):
    """A view of a project's tasks."""

    project = models.ForeignKey(Project, models.CASCADE)
    name = models.CharField(max_length=100)


class BoardColumn(Record):
    """One column of a board."""

    board = models.ForeignKey(Board, models.CASCADE)
    name = models.CharField(max_length=50)
    position = models.PositiveSmallIntegerField(default=0)


class Milestone(Record):
    """A date that tasks work towards."""

    project = models.ForeignKey(Project, models.CASCADE)
    name = models.CharField(max_length=150)
    due_on = models.DateField(null=True)


class Sprint(Record):
    """Two weeks of work."""

    project = models.ForeignKey(Project, models.CASCADE)
    name = models.CharField(max_length=100)
    starts_on = models.DateField()
    ends_on = models.DateField()


class Label(Record):
    """A word to sort tasks by."""

    project = models.ForeignKey(Project, models.CASCADE)
    name = models.CharField(max_length=50)
    colour = models.CharField(max_length=7, default="#888888")


class Task(Record):
    """Something to do."""

    project = models.ForeignKey(Project, models.CASCADE, null=True)
    creator = models.ForeignKey(USER, models.CASCADE)
    milestone = models.ForeignKey(Milestone, models.SET_NULL, null=True)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    status = models.CharField(max_length=20, default="open")
    priority = models.PositiveSmallIntegerField(default=3)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)


class TaskAssignee(Record):
    """Who does a task."""

    task = models.ForeignKey(Task, models.CASCADE)
    user = models.ForeignKey(USER, models.CASCADE)


class TaskLabel(Record):
    """A label on a task."""

    task = models.ForeignKey(Task, models.CASCADE)
    label = models.ForeignKey(Label, models.CASCADE)


class TaskDependency(Record):
    """A task that waits for another."""

    task = models.ForeignKey(Task, models.CASCADE, related_name="waits_for")
    needs = models.ForeignKey(Task, models.CASCADE, related_name="needed_by")


class Comment(Record):
    """What someone said about a task."""

    task = models.ForeignKey(Task, models.CASCADE)
    author = models.ForeignKey(USER, models.CASCADE)
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)


class Attachment(Record):
    """A file on a task, small enough to live in the database as Base64."""

    task = models.ForeignKey(Task, models.CASCADE)
    name = models.CharField(max_length=200)
    content = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)


class TimeEntry(Record):
    """Minutes spent on a task."""

    task = models.ForeignKey(Task, models.CASCADE)
    user = models.ForeignKey(USER, models.CASCADE)
    minutes = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)


class Notification(Record):
    """Something a user should see."""

    user = models.ForeignKey(USER, models.CASCADE)
    text = models.CharField(max_length=300)
    read = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)


class SavedFilter(Record):
    """A search worth keeping."""

    user = models.ForeignKey(USER, models.CASCADE)
    name = models.CharField(max_length=100)
    query = models.CharField(max_length=500)


class Webhook(Record):
    """An address that is told of changes."""

    project = models.ForeignKey(Project, models.CASCADE)
    url = models.URLField()
    active = models.BooleanField(default=True)


class WebhookDelivery(Record):
    """One attempt to tell it."""

    webhook = models.ForeignKey(Webhook, models.CASCADE)
    status = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)


class AuditEntry(Record):
    """What an administrator did."""

    actor = models.ForeignKey(USER, models.CASCADE)
    action = models.CharField(max_length=100)
    detail = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
