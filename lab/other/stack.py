"""A handle on the second stack: where its things lie, and what the checks have to be told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from lab.progress import LabError
from lab.stack import Lab

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_NAME = "otherlab"
PORTS = ("https", "http", "first_web", "last_web")


@dataclass(frozen=True)
class OtherStack(Lab):
    """The second stack, standing or not; a lab whose services, files and ports are others.

    Attributes:
        name: As a lab's. Project, network, volumes, images, directories, ports, database and roles derive from it.

    Raises:
        LabError: The name is none for a lab.
    """

    name: str = DEFAULT_NAME

    @property
    def project(self) -> str:
        """The Compose project."""
        return self.name

    @property
    def project_directory(self) -> Path:
        """Where the Compose file lies."""
        return self.directory / "srv" / "app"

    @property
    def compose_file(self) -> Path:
        """The Compose file, by the name that Compose v2 prefers."""
        return self.project_directory / "compose.yaml"

    @property
    def compose_files(self) -> tuple[Path, ...]:
        """The files that the project was brought up with, the later above the earlier; no default of Compose's."""
        return self.compose_file, self.project_directory / "compose.prod.yaml"

    @property
    def backups(self) -> Path:
        """The nightly dumps: not in the project's directory."""
        return self.directory / "var" / "dumps"

    @property
    def pattern(self) -> str:
        """The names of the dumps, with strftime's codes: a day, and no time of day."""
        return "nightly-%Y-%m-%d.sql.gz"

    @property
    def nginx_configuration(self) -> Path:
        """The directory of nginx's configuration."""
        return self.directory / "etc" / "nginx"

    @property
    def nginx_file(self) -> Path:
        """The configuration that nginx is started with."""
        return self.nginx_configuration / "nginx.conf"

    @property
    def nginx_run(self) -> Path:
        """Nginx's prefix: its pid file, and what it keeps aside of large requests."""
        return self.directory / "run" / "nginx"

    @property
    def nginx_logs(self) -> Path:
        """Nginx's logs, rotated ones too."""
        return self.directory / "var" / "log" / "nginx"

    @property
    def access_log(self) -> Path:
        """The access log that is written to."""
        return self.nginx_logs / "access.log"

    @property
    def error_log(self) -> Path:
        """The error log that is written to."""
        return self.nginx_logs / "error.log"

    @property
    def pages(self) -> Path:
        """What nginx serves itself."""
        return self.directory / "srv" / "pages"

    @property
    def certificates(self) -> Path:
        """What would be `/etc/letsencrypt`."""
        return self.directory / "etc" / "letsencrypt"

    @property
    def certificate(self) -> Path:
        """The site's certificate with its chain."""
        return self.certificates / "live" / self.domain / "fullchain.pem"

    @property
    def domain(self) -> str:
        """The site's host name; it is in no DNS."""
        return f"shop.{self.name}.test"

    @property
    def database(self) -> str:
        """The name of the application's database."""
        return f"{self.name}_shop"

    @property
    def owner(self) -> str:
        """The database's superuser, who is not called `postgres`."""
        return f"{self.name}_owner"

    @property
    def checks_role(self) -> str:
        """The role of the checks: pg_monitor, and nothing else."""
        return "watcher"

    @property
    def checks_password(self) -> str:
        """Its password."""
        return self.secrets()["ops_password"]

    @property
    def connect_to(self) -> str:
        """Where the site answers by HTTPS."""
        return f"127.0.0.1:{self.https_port}"

    @property
    def http_connect_to(self) -> str:
        """Where it answers by plain HTTP."""
        return f"127.0.0.1:{self.http_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What no look at the stack can tell the checks, as variables for them."""
        return {
            "OPS_SITE__CONNECT_TO": self.connect_to,
            "OPS_SITE__HTTP_CONNECT_TO": self.http_connect_to,
            "OPS_SITE__CA_FILE": str(self.ca_file),
            "OPS_DATABASE__USER": self.checks_role,
            "OPS_DATABASE__PASSWORD": self.checks_password,
            # Its containers are minutes old, as a lab's are.
            "OPS_COVERAGE__LOG_WINDOW": "0.0",
            "OPS_LIMITS__STATISTICS_AGE": "1 s",
        }

    def state(self) -> dict[str, Any]:
        """What the stack remembers of itself between two calls.

        Raises:
            LabError: It was never brought up.
        """
        if not (self.directory / "lab.json").exists():
            raise LabError(f"the other stack {self.name} does not stand; bring it up with: python -m lab other up")
        return super().state()

    def services(self) -> dict[str, dict[str, Any]]:
        """The services of the Compose files, as they are written there."""
        together: dict[str, Any] = {}
        for file in self.compose_files:
            together = _over(together, yaml.safe_load(file.read_text(encoding="utf-8"))["services"])
        return together

    def wanted(self) -> dict[str, int]:
        """Services of the Compose files and how many containers each should have."""
        return {name: int(one.get("deploy", {}).get("replicas", 1)) for name, one in self.services().items()}

    def psql(self, sql: str, database: str | None = None) -> str:
        """Run SQL as the superuser through psql in the database's container; see :meth:`lab.stack.Lab.psql`."""
        options = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
        target = ("--username", self.owner, "--dbname", database or self.database)
        return self.execute("postgres", "psql", *options, *target, "--command", sql)

    def manage(self, *arguments: str) -> str:
        """Run Django's manage.py in a container of `web` and return what it said.

        Raises:
            LabError: None runs, or the command failed.
        """
        return self.execute("web", "python3", "manage.py", *arguments)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Tables, the second over the first; variables may be written as a list of `NAME=value` in one of them."""
    together = dict(below)
    for name, value in above.items():
        was = together.get(name)
        if isinstance(value, dict) and isinstance(was, list):
            was = dict(line.split("=", 1) for line in was)
        together[name] = _over(was, value) if isinstance(value, dict) and isinstance(was, dict) else value
    return together
