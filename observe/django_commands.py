"""What Django's own commands say of the backend: which there are, what is unapplied, what isn't fit to be deployed.

Serves what the guide relies on when something is wrong (`createsuperuser`, `clearcache`, `migrate`) and its check
before a deployment. Nothing is run but commands that read, each in a container of the backend.

What is unapplied is asked by `showmigrations`, which counts the applied ones as well, and not by `migrate --check`:
with nothing unapplied, Django before 5.0 goes on from there as `migrate` does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from observe.container_command import known_to_read, run_inside
from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from observe.engine import Container, Engine
    from observe.host import Ran

_SHOWN = 10
_LONGEST = 160
_SERIOUS = ("CRITICALS", "ERRORS", "WARNINGS")
_LEVELS = frozenset({*_SERIOUS, "INFOS", "DEBUGS"})
_APP = re.compile(r"\[(?P<app>[\w.]+)\]")
_COMMAND = re.compile(r"    (?P<command>[\w-]+)")
_NOT_LOADED = re.compile(r"settings are not properly configured \(error: (?P<why>.*?)\)?\.?\Z")
_MIGRATION = re.compile(r"\[(?P<applied>[X ])\]  (?P<name>\w[\w.]*)(?: .*)?")
_ISSUE = re.compile(r"(?P<what>\S.*?): \((?P<name>[A-Za-z_]\w*(?:\.\w+)+)\) (?P<said>.*)")
_SUMMARY = re.compile(r"System check identified (?P<issues>no|[0-9]+) issues? \((?P<silenced>[0-9]+) silenced\)\.")
_PASSWORD = re.compile(r"://[^/\s@]*@")
_NO_DATABASE = re.compile(r"\S*\b(?:OperationalError|InterfaceError)\b: (?P<why>.*)")


@dataclass(frozen=True)
class Commands:
    """The commands that Django has in the backend.

    Attributes:
        place: The container that was asked.
        app_of: Each command, and the application that it comes from.
    """

    place: str
    app_of: dict[str, str]

    @property
    def looked_at(self) -> str:
        """The denominator: commands, applications, container."""
        return f"{len(self.app_of)} commands of {len(set(self.app_of.values()))} applications in {self.place}"

    def said_of(self, command: str) -> str:
        """Whether there is a command of that name, and where it comes from."""
        app = self.app_of.get(command)
        return f"there is none in {self.place}" if app is None else f"there is one, of {app}"

    def rows(self) -> list[dict[str, str]]:
        """The applications and their commands, for the report."""
        apps = dict.fromkeys(self.app_of.values())
        return [
            {"application": app, "commands": ", ".join(name for name, of in self.app_of.items() if of == app)}
            for app in apps
        ]


@dataclass(frozen=True)
class Migrations:
    """The migrations that the backend's code has, and what the database knows of them.

    Attributes:
        place: The container that was asked.
        applied: Those that are applied, as `application.name`.
        unapplied: Those that aren't, in the order in which they would be.
    """

    place: str
    applied: tuple[str, ...]
    unapplied: tuple[str, ...]

    @property
    def looked_at(self) -> str:
        """The denominator: migrations, container."""
        return f"{len(self.applied) + len(self.unapplied)} migrations that the code in {self.place} has"

    @property
    def said(self) -> str:
        """What is unapplied."""
        total = len(self.applied) + len(self.unapplied)
        if not self.unapplied:
            return f"all {total} applied"
        more = f" and {len(self.unapplied) - _SHOWN} more" if len(self.unapplied) > _SHOWN else ""
        return f"{len(self.unapplied)} of {total} unapplied: {', '.join(self.unapplied[:_SHOWN])}{more}"

    def rows(self) -> list[dict[str, str]]:
        """What is unapplied, for the report."""
        return [{"unapplied": name} for name in self.unapplied]


@dataclass(frozen=True)
class Issue:
    """Something that Django's check found.

    Attributes:
        level: `WARNINGS` or worse, or less: the heading that it stands under.
        name: What Django calls it: `security.W004`.
        said: Its words.
    """

    level: str
    name: str
    said: str


@dataclass(frozen=True)
class DeployCheck:
    """What Django's check of a deployment found.

    Attributes:
        place: The container that was asked.
        fails: Whether Django itself takes it for a failure: something is at warning or above.
        count: How many issues it says there are, of whatever level.
        silenced: How many it was told not to speak of.
        issues: Those of them that could be read.
    """

    place: str
    fails: bool
    count: int
    silenced: int
    issues: tuple[Issue, ...]

    @property
    def looked_at(self) -> str:
        """The denominator."""
        return f"all of Django's checks with those of a deployment, in {self.place}; {self.silenced} silenced"

    @property
    def serious(self) -> tuple[Issue, ...]:
        """Those at warning or above."""
        return tuple(one for one in self.issues if one.level in _SERIOUS)

    @property
    def failures(self) -> int:
        """How many are at warning or above; of some of those that have no name, all there are."""
        return (len(self.serious) or self.count) if self.fails else 0

    @property
    def said(self) -> str:
        """What was found, by the names that Django's documentation explains."""
        silenced = f", {self.silenced} silenced" if self.silenced else ""
        if not self.fails:
            lesser = f" ({self.count} below that)" if self.count else ""
            return f"nothing at warning or above{lesser}{silenced}"
        names = [one.name for one in self.serious]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        listed = f": {', '.join(names[:_SHOWN])}{more}" if names else ""
        issues = "issue" if self.failures == 1 else "issues"
        return f"{self.failures} {issues} at warning or above{listed}{silenced}"

    def rows(self) -> list[dict[str, str]]:
        """What was found, for the report."""
        return [{"level": one.level.lower().rstrip("s"), "check": one.name, "says": one.said} for one in self.issues]


class Manage:
    """Django's commands in a container of the backend, of which only such are called as read.

    Args:
        engine: The engine that the container is on.
        container: Finds a container of the backend that runs; may raise CannotTell.
        manage: How the commands are called there, word by word.
        seconds: Total time limit of one command, in seconds.
    """

    def __init__(
        self, engine: Engine, container: Callable[[], Container], manage: Sequence[str], seconds: float
    ) -> None:
        self._engine = engine
        self._find = container
        self._manage = tuple(manage)
        self._seconds = seconds

    def commands(self) -> Commands:
        """The commands that there are.

        Raises:
            CannotTell: If Django can't be asked, prints no list of them, or couldn't load its settings.
        """
        place, ran = self._ask("help")
        return commands_of(ran, place)

    def migrations(self) -> Migrations:
        """The migrations that the code has, and which of them are applied.

        Raises:
            CannotTell: If Django can't be asked, doesn't reach its database, or knows no migration.
        """
        place, ran = self._ask("showmigrations", "--plan")
        return migrations_of(ran, place)

    def deploy_check(self) -> DeployCheck:
        """What Django's check of a deployment finds.

        Raises:
            CannotTell: If Django can't be asked, or its check didn't come to its end.
        """
        place, ran = self._ask("check", "--deploy", "--fail-level", "WARNING")
        return deploy_check_of(ran, place)

    def _ask(self, *words: str) -> tuple[str, Ran]:
        command = (*self._manage, *words)
        if not known_to_read(command):
            raise CannotTell(
                f"application.manage is {' '.join(self._manage)[:_LONGEST]!r}: that isn't called, since it isn't "
                "known to be Django's manage.py",
                mend='Set application.manage to a Python and a manage.py: ["python3", "manage.py"], '
                '["/venv/bin/python", "/app/manage.py"].',
            )
        container = self._find()
        return container.name, run_inside(self._engine, container, command, self._seconds)


def commands_of(ran: Ran, place: str) -> Commands:
    """Read what `manage.py help` printed in a container of that name.

    Raises:
        CannotTell: As :meth:`Manage.commands`.
    """
    app_of: dict[str, str] = {}
    app = ""
    _, found, listed = ran.out.partition("Available subcommands:")
    for line in listed.splitlines():
        if (heading := _APP.fullmatch(line.strip())) is not None:
            app = heading["app"][:_LONGEST]
        elif app and (command := _COMMAND.fullmatch(line.rstrip())) is not None:
            app_of[command["command"][:_LONGEST]] = app
    if (without := _NOT_LOADED.search(f"{ran.out.strip()}\n".splitlines()[-1])) is not None:
        raise CannotTell(
            f"Django in {place} can't load its settings, and lists its own commands alone: {_short(without['why'])}",
            mend=_BY_HAND,
        )
    if ran.status != 0 or not found or not app_of:
        raise _unreadable("no list of its commands", ran, place)
    return Commands(place, app_of)


def migrations_of(ran: Ran, place: str) -> Migrations:
    """Read what `manage.py showmigrations --plan` printed in a container of that name.

    Raises:
        CannotTell: As :meth:`Manage.migrations`.
    """
    if ran.status != 0:
        raise _unreadable("nothing of its migrations", ran, place)
    seen = [line for line in map(_MIGRATION.fullmatch, ran.out.splitlines()) if line is not None]
    if not seen:
        raise _unreadable("no migration", ran, place)
    unread = [line for line in ran.out.splitlines() if line.startswith("[") and _MIGRATION.fullmatch(line) is None]
    if unread:
        raise CannotTell(f"a line of showmigrations in {place} can't be read: {_short(unread[0])!r}", mend=_BY_HAND)
    return Migrations(
        place,
        tuple(one["name"][:_LONGEST] for one in seen if one["applied"] == "X"),
        tuple(one["name"][:_LONGEST] for one in seen if one["applied"] != "X"),
    )


def deploy_check_of(ran: Ran, place: str) -> DeployCheck:
    """Read what `manage.py check --deploy --fail-level WARNING` printed in a container of that name.

    Django's last sentence says how many there are, and its status whether one of them is serious. Both must be there:
    a check that broke down found nothing, either.

    Raises:
        CannotTell: As :meth:`Manage.deploy_check`.
    """
    text = f"{ran.out}\n{ran.complaint}"
    summary = next((found for line in reversed(text.splitlines()) if (found := _SUMMARY.fullmatch(line.strip()))), None)
    if summary is None or ran.status not in {0, 1}:
        raise _unreadable("no result of its check", ran, place)
    count = 0 if summary["issues"] == "no" else int(summary["issues"])
    if ran.status == 1 and not count:
        raise _unreadable("a failure, and no issue", ran, place)
    issues = []
    level = ""
    for line in text.splitlines():
        if line.rstrip(":") in _LEVELS:
            level = line.rstrip(":")
        elif level and (issue := _ISSUE.fullmatch(line)) is not None:
            what = "" if issue["what"] == "?" else f"{_short(issue['what'])}: "
            issues.append(Issue(level, issue["name"][:_LONGEST], f"{what}{_short(issue['said'])}"))
    return DeployCheck(place, ran.status == 1, count, int(summary["silenced"]), tuple(issues))


_BY_HAND = "Run it by hand in that container, and read what it says."


def _unreadable(missing: str, ran: Ran, place: str) -> CannotTell:
    """What Django's last line says instead: of a traceback that is the exception."""
    lines = [line.strip() for line in (ran.complaint or ran.out).splitlines() if line.strip()]
    for line in reversed(lines):
        if (lost := _NO_DATABASE.fullmatch(line)) is not None:
            return CannotTell(
                f"Django in {place} doesn't reach its database: {_short(lost['why'])}",
                mend="See whether the database runs, and what the backend is told of its address, name and user.",
                cause="database",
            )
    last = _short(lines[-1]) if lines else f"nothing, and ended with status {ran.status}"
    return CannotTell(f"Django in {place} printed {missing}: {last}", mend=_BY_HAND)


def _short(text: str) -> str:
    """A text of bounded length in one line, without what may be a password in a URL."""
    one = _PASSWORD.sub("://…@", " ".join(text.split()))
    return one if len(one) <= _LONGEST else f"{one[: _LONGEST - 1]}…"
