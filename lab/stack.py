"""A handle on one lab: where its things lie, and how to reach its containers and its database."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import yaml

from lab.engine import client, compose_command
from lab.progress import LabError, run

if TYPE_CHECKING:
    import subprocess

    from docker.models.containers import Container

CHECKOUT = Path(__file__).resolve().parents[1]
DEFAULT_NAME = "synklab"
NAME = re.compile(r"[a-z][a-z0-9]{1,30}")
SUPERUSER = "postgres"


@dataclass(frozen=True)
class Lab:
    """One lab, standing or not.

    Attributes:
        name: a lower-case letter, then 1 to 30 lower-case letters or digits. Project, network,
            volumes, images, directories and ports derive from it.

    Raises:
        LabError: the name is not such a one.
    """

    name: str = DEFAULT_NAME

    def __post_init__(self) -> None:
        """Refuse a name that would not do as project, image and host name alike."""
        if not NAME.fullmatch(self.name):
            raise LabError(
                f"{self.name!r} is no name for a lab: wanted a lower-case letter, "
                "then 1 to 30 lower-case letters or digits, such as synklab"
            )

    @property
    def directory(self) -> Path:
        """All that the lab keeps on the host."""
        return CHECKOUT / ".lab" / self.name

    @property
    def project_directory(self) -> Path:
        """The Compose project, with the operator's scripts and papers."""
        return self.directory / "project"

    @property
    def compose_file(self) -> Path:
        """The Compose file."""
        return self.project_directory / "docker-compose.yml"

    @property
    def backups(self) -> Path:
        """The nightly backups."""
        return self.project_directory / "backups"

    @property
    def nginx_configuration(self) -> Path:
        """The proxy's configuration, mounted into its container; `reload_nginx` puts it in force."""
        return self.directory / "nginx"

    @property
    def nginx_logs(self) -> Path:
        """The proxy's logs, rotated ones too."""
        return self.directory / "log" / "nginx"

    @property
    def certificates(self) -> Path:
        """What would be `/etc/letsencrypt`."""
        return self.directory / "letsencrypt"

    @property
    def authority_directory(self) -> Path:
        """The throw-away certificate authority, keys included."""
        return self.directory / "authority"

    @property
    def ca_file(self) -> Path:
        """The root certificate that clients of the lab have to trust."""
        return self.directory / "ca.pem"

    @property
    def target_file(self) -> Path:
        """The settings that make the lab a target of the checks."""
        return self.directory / "target.toml"

    @property
    def history_file(self) -> Path:
        """What the checks remember of their runs on this lab."""
        return self.directory / "history.sqlite"

    @property
    def ops_password_file(self) -> Path:
        """The password of the checks' own database role."""
        return self.directory / "ops_checks.password"

    @property
    def on_call_file(self) -> Path:
        """The alert route, which carries a key."""
        return self.directory / "on-call.url"

    @property
    def rota_file(self) -> Path:
        """Who is on call."""
        return self.directory / "on-call.toml"

    @property
    def domain(self) -> str:
        """The site's host name; it is in no DNS."""
        return f"{self.name}.test"

    @property
    def database(self) -> str:
        """The name of the application's database."""
        return f"{self.name}_db"

    @property
    def https_port(self) -> int:
        """The proxy's TLS port on 127.0.0.1."""
        return int(self.state()["ports"]["https"])

    @property
    def http_port(self) -> int:
        """The proxy's plain HTTP port on 127.0.0.1."""
        return int(self.state()["ports"]["http"])

    @property
    def database_port(self) -> int:
        """PostgreSQL's port on 127.0.0.1."""
        return int(self.state()["ports"]["database"])

    @property
    def packages_port(self) -> int:
        """The package index's port on 127.0.0.1."""
        return int(self.state()["ports"]["packages"])

    @property
    def npm_registry(self) -> str:
        """Where npm on the host finds the package index."""
        return f"http://127.0.0.1:{self.packages_port}/npm/"

    def state(self) -> dict[str, Any]:
        """What the lab remembers of itself between two calls.

        Raises:
            LabError: it was never brought up.
        """
        try:
            remembered: dict[str, Any] = json.loads((self.directory / "lab.json").read_text())
        except FileNotFoundError as missing:
            raise LabError(f"lab {self.name} does not stand; bring it up with: python -m lab up") from missing
        return remembered

    def remember(self, **facts: object) -> None:
        """Add to what the lab remembers."""
        try:
            known = self.state()
        except LabError:
            known = {}
        aside = self.directory / "lab.json.new"
        aside.write_text(json.dumps({**known, **facts}, indent=2) + "\n")
        aside.replace(self.directory / "lab.json")

    def secrets(self) -> dict[str, str]:
        """The passwords that were made for this lab, by purpose."""
        kept: dict[str, str] = json.loads((self.directory / "secrets.json").read_text())
        return kept

    def wanted(self) -> dict[str, int]:
        """Services of the Compose file and how many containers each should have."""
        services = yaml.safe_load(self.compose_file.read_text())["services"]
        return {name: int(service.get("scale", 1)) for name, service in services.items()}

    def containers(self, service: str | None = None) -> list[Container]:
        """The containers of one service, or of all, in whatever state, by Compose's labels.

        One-off containers are left out. Sorted by service and number.
        """
        labels = [f"com.docker.compose.project={self.name}"]
        if service:
            labels.append(f"com.docker.compose.service={service}")
        found = client().containers.list(all=True, filters={"label": labels}, ignore_removed=True)
        regular = [c for c in found if c.labels.get("com.docker.compose.oneoff", "").lower() != "true"]
        return sorted(regular, key=_order)

    def container(self, service: str) -> Container:
        """The first running container of a service.

        Raises:
            LabError: none runs.
        """
        for container in self.containers(service):
            if container.status == "running":
                return container
        raise LabError(f"no container of service {service} of lab {self.name} is running")

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Compose, whichever version is there, on this lab's project.

        Raises:
            LabError: Compose is missing, or (with `check`) failed.
        """
        command = compose_command()
        if command is None:
            raise LabError("neither `docker compose` nor `docker-compose` is there")
        # An operator's own COMPOSE_FILE or COMPOSE_PROJECT_NAME would win over the project's .env.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("COMPOSE_")}
        return run(
            [*command, "--project-name", self.name, *arguments],
            cwd=self.project_directory,
            env=environment,
            check=check,
        )

    def execute(self, service: str, *command: str, user: str = "") -> str:
        """Run a command in the first running container of a service and return what it said.

        Raises:
            LabError: no such container runs, or the command failed.
        """
        done = self.container(service).exec_run(list(command), user=user)
        said: str = done.output.decode(errors="replace")
        if done.exit_code != 0:
            raise LabError(f"{command[0]} in {service} ended with status {done.exit_code}:\n{said[-4000:]}")
        return said

    def stream(self, service: str, into: IO[bytes], *command: str) -> str:
        """Run a command in a container of a service and write what it puts out to a file.

        Returns:
            What it said on its standard error.

        Raises:
            LabError: no such container runs, or the command failed.
        """
        api = client().api
        execution = api.exec_create(self.container(service).id, list(command))["Id"]
        said = b""
        for out, err in api.exec_start(execution, stream=True, demux=True):
            into.write(out or b"")
            said += err or b""
        status = api.exec_inspect(execution)["ExitCode"]
        complaints = said.decode(errors="replace").strip()
        if status != 0:
            raise LabError(f"{command[0]} in {service} ended with status {status}:\n{complaints[-4000:]}")
        return complaints

    def psql(self, sql: str, database: str | None = None) -> str:
        """Run SQL as the superuser through psql in the database's container.

        Args:
            sql: one or more statements, run in one transaction unless they end it themselves.
            database: another database than the application's.

        Returns:
            Rows as lines, columns separated by `|`, without a header.

        Raises:
            LabError: the container does not run, or a statement failed.
        """
        options = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
        target = ("--username", SUPERUSER, "--dbname", database or self.database)
        return self.execute("db", "psql", *options, *target, "--command", sql)

    def manage(self, *arguments: str) -> str:
        """Run Django's manage.py in a backend container and return what it said.

        Raises:
            LabError: no backend runs, or the command failed.
        """
        return self.execute("backend", "python3", "manage.py", *arguments)

    def reload_nginx(self, seconds: float = 10.0) -> None:
        """Put the proxy's configuration in force, and wait until nobody answers by the old one.

        Raises:
            LabError: nginx refuses the configuration, or its old workers go on after `seconds`.
        """
        configuration = ("-c", "/etc/nginx/synk/nginx.conf")
        container = self.container("nginx")
        old = _workers(container)
        self.execute("nginx", "nginx", "-q", "-t", *configuration)
        self.execute("nginx", "nginx", *configuration, "-s", "reload")
        deadline = time.monotonic() + seconds
        while (now := _workers(container)) & old or not now:
            if time.monotonic() > deadline:
                raise LabError(f"the proxy of lab {self.name} still runs on its old configuration")
            time.sleep(0.02)

    def unhealthy(self) -> list[str]:
        """What is not as the Compose file wants it: one short phrase for each thing."""
        complaints = []
        containers = self.containers()
        for service, wanted in self.wanted().items():
            states = [_condition(c) for c in containers if c.labels["com.docker.compose.service"] == service]
            good = states.count("up")
            if good < wanted:
                bad = ", ".join(s for s in states if s != "up") or "missing"
                complaints.append(f"{service} {good} of {wanted} ({bad})")
        return complaints

    def wait_healthy(self, seconds: float = 60.0) -> None:
        """Wait until every wanted container runs and is healthy.

        Raises:
            LabError: after `seconds` something still is not, named in the message.
        """
        deadline = time.monotonic() + seconds
        while complaints := self.unhealthy():
            if time.monotonic() > deadline:
                raise LabError(f"lab {self.name} is not healthy after {seconds:.0f} s: {'; '.join(complaints)}")
            time.sleep(0.25)


def _order(container: Container) -> tuple[str, int]:
    labels = container.labels
    return labels["com.docker.compose.service"], int(labels.get("com.docker.compose.container-number", "0"))


def _condition(container: Container) -> str:
    """`up`, or in a word what the container is instead."""
    state = container.attrs["State"]
    if state["Status"] != "running":
        return str(state["Status"])
    health = state.get("Health", {}).get("Status", "healthy")
    return "up" if health in {"healthy", "none"} else str(health)


def _workers(container: Container) -> set[str]:
    """Process ids of nginx workers that take connections; one that shuts down takes none."""
    table = container.top()
    column = table["Titles"].index("PID")
    return {row[column] for row in table["Processes"] if row[-1].strip() == "nginx: worker process"}
