"""What Django's own commands print is read as it is: by a Django of today here, by the lab's own in the lab."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observe.django_commands import Manage, commands_of, deploy_check_of, migrations_of
from observe.errors import CannotTell
from observe.host import Ran

if TYPE_CHECKING:
    from pathlib import Path

    from observe.engine import Container

PLACE = "shop_backend_1"
MANAGE = """import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
SETTINGS = """import os
BASE = os.path.dirname(os.path.abspath(__file__))
SECRET_KEY = "a-Long-0ne-of-many-different-letters-that-nobody-would-take-for-generated-by-hand"
ALLOWED_HOSTS = ["shop.test"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.path.join(BASE, "db.sqlite3")}}
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "things"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECURE_HSTS_SECONDS, SECURE_HSTS_INCLUDE_SUBDOMAINS, SECURE_HSTS_PRELOAD = 31536000, True, True
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
"""
FILES = {
    "manage.py": MANAGE,
    "settings.py": SETTINGS,
    "urls.py": "urlpatterns = []\n",
    "things/__init__.py": "",
    "things/apps.py": "from django.apps import AppConfig\nclass Things(AppConfig):\n    name = 'things'\n",
    "things/models.py": "from django.db import models\nclass Thing(models.Model):\n    name = models.TextField()\n",
    "things/migrations/__init__.py": "",
    "things/migrations/0001_initial.py": """from django.db import migrations, models
class Migration(migrations.Migration):
    initial = True
    operations = [migrations.CreateModel("Thing", [("id", models.BigAutoField(primary_key=True)),
                                                   ("name", models.TextField())])]
""",
    "things/management/__init__.py": "",
    "things/management/commands/__init__.py": "",
    "things/management/commands/clearcache.py": """from django.core.management.base import BaseCommand
class Command(BaseCommand):
    def handle(self, **options):
        open("was_run", "w").close()
""",
}
LATER = """from django.db import migrations
class Migration(migrations.Migration):
    dependencies = [("things", "0001_initial")]
    operations = [migrations.RunSQL("SELECT 'a secret in a statement'")]
"""
CHECK = ("check", "--deploy", "--fail-level", "WARNING")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def manage(project: Path, *words: str) -> Ran:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "manage.py", *words], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr.strip())


def more_settings(project: Path, text: str) -> None:
    with (project / "settings.py").open("a") as file:
        file.write(text)


def test_its_commands_are_listed_by_application_and_none_is_run(project: Path) -> None:
    seen = commands_of(manage(project, "help"), PLACE)
    assert {"clearcache": "things", "createsuperuser": "auth", "migrate": "django"}.items() <= seen.app_of.items()
    assert seen.said_of("clearcache") == "there is one, of things"
    assert seen.said_of("clear_cache") == f"there is none in {PLACE}"
    assert f"{len(seen.app_of)} commands of" in seen.looked_at
    assert {"application": "things", "commands": "clearcache"} in seen.rows()
    assert not (project / "was_run").exists()


@pytest.mark.parametrize(
    "broken", ["raise ImportError('no module of ours')\n", "1 / 0\n", "INSTALLED_APPS += ['no_such']\n"]
)
def test_settings_that_cant_be_loaded_are_no_list_of_commands(project: Path, broken: str) -> None:
    more_settings(project, broken)
    with pytest.raises(CannotTell):
        commands_of(manage(project, "help"), PLACE)


def test_what_is_unapplied_is_named_in_its_order_and_nothing_is_written(project: Path) -> None:
    seen = migrations_of(manage(project, "showmigrations", "--plan"), PLACE)
    assert not seen.applied
    assert seen.unapplied[0] == "contenttypes.0001_initial"
    assert "things.0001_initial" in seen.unapplied
    assert seen.said.startswith(
        f"{len(seen.unapplied)} of {len(seen.unapplied)} unapplied: contenttypes.0001_initial, "
    )
    with contextlib.closing(sqlite3.connect(project / "db.sqlite3")) as database:
        assert not database.execute("SELECT * FROM sqlite_master").fetchall()


def test_what_is_applied_is_counted(project: Path) -> None:
    assert manage(project, "migrate").status == 0
    seen = migrations_of(manage(project, "showmigrations", "--plan"), PLACE)
    assert not seen.unapplied
    assert seen.said == f"all {len(seen.applied)} applied"
    assert f"{len(seen.applied)} migrations" in seen.looked_at
    (project / "things/migrations/0002_later.py").write_text(LATER)
    later = migrations_of(manage(project, "showmigrations", "--plan"), PLACE)
    assert later.unapplied == ("things.0002_later",)
    assert later.said == f"1 of {len(seen.applied) + 1} unapplied: things.0002_later"
    assert later.rows() == [{"unapplied": "things.0002_later"}]


def test_a_database_that_isnt_reached_is_the_databases_matter(project: Path) -> None:
    more_settings(project, 'DATABASES["default"]["NAME"] = "/no/such/place/db"\n')
    with pytest.raises(CannotTell, match="doesn't reach its database: unable to open database file") as raised:
        migrations_of(manage(project, "showmigrations", "--plan"), PLACE)
    assert raised.value.cause == "database"


@pytest.mark.parametrize("broken", ["1 / 0\n", "INSTALLED_APPS = []\n", "DATABASES = {}\n"])
def test_without_a_migration_nothing_was_looked_at(project: Path, broken: str) -> None:
    more_settings(project, broken)
    with pytest.raises(CannotTell) as raised:
        migrations_of(manage(project, "showmigrations", "--plan"), PLACE)
    assert not raised.value.cause


def test_a_good_deployment_holds_with_what_it_silences_said(project: Path) -> None:
    seen = deploy_check_of(manage(project, *CHECK), PLACE)
    assert (seen.fails, seen.count, seen.silenced) == (False, 0, 0)
    assert seen.said == "nothing at warning or above"
    more_settings(project, 'DEBUG = True\nSILENCED_SYSTEM_CHECKS = ["security.W018"]\n')
    silent = deploy_check_of(manage(project, *CHECK), PLACE)
    assert (silent.fails, silent.silenced) == (False, 1)
    assert silent.said == "nothing at warning or above, 1 silenced"
    assert silent.looked_at.endswith("1 silenced")


def test_each_warning_is_named(project: Path) -> None:
    more_settings(project, "DEBUG = True\nSECURE_HSTS_SECONDS = 0\nMIDDLEWARE = MIDDLEWARE[:2]\n")
    seen = deploy_check_of(manage(project, *CHECK), PLACE)
    assert seen.fails
    assert {one.name for one in seen.serious} == {"security.W002", "security.W004", "security.W018"}
    assert seen.count == len(seen.issues) == 3
    assert seen.said == "3 issues at warning or above: security.W002, security.W004, security.W018"
    assert {row["level"] for row in seen.rows()} == {"warning"}


def test_levels_are_told_apart(project: Path) -> None:
    (project / "things/apps.py").write_text(
        FILES["things/apps.py"]
        + """
    def ready(self):
        from django.core import checks
        @checks.register()
        def mine(**kwargs):
            found = [checks.Info("by the way:\\nmore: of it", id="things.I001")]
            if os.path.exists("worse"):
                found += [checks.Error("bad", hint="mend it", obj="a thing", id="things.E001")]
                found += [checks.Warning("nameless")]
            return found
import os
"""
    )
    lesser = deploy_check_of(manage(project, *CHECK), PLACE)
    assert (lesser.fails, lesser.count, lesser.serious) == (False, 1, ())
    assert lesser.said == "nothing at warning or above (1 below that)"
    (project / "worse").touch()
    worse = deploy_check_of(manage(project, *CHECK), PLACE)
    assert worse.fails
    assert worse.count == 3
    assert [one.name for one in worse.serious] == ["things.E001"], "one has no name to be read"
    assert {"level": "error", "check": "things.E001", "says": "a thing: bad"} in worse.rows()


@pytest.mark.parametrize("broken", ["1 / 0\n", "ROOT_URLCONF = 'no_such'\n", "INSTALLED_APPS += ['no_such']\n"])
def test_a_check_that_broke_down_found_nothing(project: Path, broken: str) -> None:
    more_settings(project, broken)
    with pytest.raises(CannotTell, match="no result of its check"):
        deploy_check_of(manage(project, *CHECK), PLACE)


def test_an_address_with_a_password_in_it_is_shown_without(project: Path) -> None:
    more_settings(project, "raise ValueError('not to be read: postgres://shop:geheim-7391@db/shop')\n")
    ran = manage(project, "showmigrations", "--plan")
    assert "geheim-7391" in ran.complaint
    with pytest.raises(CannotTell, match="ValueError: not to be read: postgres://…@db/shop") as raised:
        migrations_of(ran, PLACE)
    assert "geheim" not in raised.value.what


@given(st.sampled_from([0, 1, 2, -9]), st.text(max_size=300), st.text(max_size=300))
def test_no_output_raises_anything_else_or_is_taken_for_an_answer(status: int, out: str, complaint: str) -> None:
    for read in (commands_of, migrations_of, deploy_check_of):
        with pytest.raises(CannotTell) as raised:
            read(Ran(status, out, complaint.strip()), PLACE)
        assert len(raised.value.what) < 400
        assert "\n" not in raised.value.what


@pytest.mark.parametrize(
    "words",
    [
        ["./manage.py"],
        ["django-admin"],
        ["sh", "-c", "manage.py"],
        ["uv", "run", "manage.py"],
        ["python", "-m", "django"],
    ],
)
def test_what_isnt_known_to_be_manage_py_isnt_called(words: list[str]) -> None:
    def asked() -> Container:
        raise AssertionError("nobody was to be looked for")

    manage = Manage(None, asked, words, 1)  # type: ignore[arg-type]
    for ask in (manage.commands, manage.migrations, manage.deploy_check):
        with pytest.raises(CannotTell, match=r"application\.manage is") as raised:
            ask()
        assert "application.manage" in raised.value.mend
