"""Bringing the second stack up, and throwing it away."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import os
import pwd
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from lab import ports, project, traffic
from lab.base_image import BASE, ensure_base, remove_base_if_ours
from lab.bring_up import other_labs, refuse_elsewhere, remove_replaced_images
from lab.engine import client, engine_answers, ensure_engine
from lab.other import compose, history, web_server
from lab.other.stack import PORTS
from lab.progress import LabError, Steps, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.other.stack import OtherStack

STEPS = 6
HERE = Path(__file__).parent
IMAGES = {"db": "postgres", "backend": "web"}
"""Sources of the lab's images, and what they are called here."""
HEALTHY_SECONDS = 60.0
ANSWER_SECONDS = 10.0
# The lab's entrypoint gives the checks more; this stack is there to show what pg_monitor alone is good for.
ONLY_PG_MONITOR = """
REVOKE pg_read_all_data FROM {role};
REVOKE SELECT ON pg_file_settings, pg_hba_file_rules FROM {role};
REVOKE EXECUTE ON FUNCTION pg_show_all_file_settings(), pg_hba_file_rules() FROM {role};
"""


def up(stack: OtherStack) -> None:
    """Bring the stack up, or mend what is missing of one that stands.

    Ends when every health check is healthy and the site answers.

    Raises:
        LabError: A step failed, with what the tools said.
        SystemExit: There is no Docker engine and none can be installed.
    """
    steps = Steps(STEPS)
    with _alone(stack):
        with steps.step("a Docker engine, a base image, nginx"):
            ensure_engine()
            refuse_elsewhere(stack)
            ensure_base()
            web_server.ensure_nginx()
        with steps.step("project, certificate and nginx's configuration"):
            write(stack)
        with steps.step("building images"):
            compose.build(stack)
        with steps.step("database, migrated"):
            fresh = _start_database(stack)
            compose.ensure(stack, "web")
            stack.manage("migrate")
        with steps.step("a year of rows, dumps and logs" if fresh else "last night's dump, rotated logs"):
            _make_history(stack) if fresh else _catch_up(stack)
        with steps.step("all services, healthy and answering"):
            compose.ensure(stack, "worker")
            web_server.start(stack)
            recovered(stack)
            traffic.usual_morning(stack)
            remove_replaced_images(stack)
    say(f"the other stack {stack.name} stands: https://{stack.domain}/ on {stack.connect_to}")


def write(stack: OtherStack) -> None:
    """Write all of the stack's files; what exists and must last (ports, secrets, certificate) is kept."""
    for directory in (stack.project_directory, stack.backups, stack.nginx_logs, stack.nginx_configuration):
        directory.mkdir(parents=True, exist_ok=True)
    stack.directory.chmod(0o755)
    if not (stack.directory / "lab.json").exists():
        stack.remember(ports=ports.choose(stack.name, PORTS))
    project.keep_secrets(stack)
    values = placeholders(stack)
    project.render(HERE / "templates" / "app", stack.project_directory, values)
    project.render(HERE / "templates" / "nginx", stack.nginx_configuration, values)
    for shared in ("proxy.conf", "security-headers.conf"):
        shutil.copyfile(project.HERE / "templates" / "nginx" / shared, stack.nginx_configuration / shared)
    for image, place in IMAGES.items():
        project.copy_sources(project.HERE / "images" / image, stack.project_directory / place)
    project.copy_sources(project.HERE / "images" / "nginx" / "html", stack.pages)
    project.ensure_certificate(stack)


def placeholders(stack: OtherStack) -> dict[str, str]:
    """What the templates may ask for by `@name@`."""
    chosen = stack.state()["ports"]
    return {
        **stack.secrets(),
        **{f"{purpose}_port": str(number) for purpose, number in chosen.items()},
        "name": stack.project,
        "base": BASE,
        "domain": stack.domain,
        "database": stack.database,
        "owner": stack.owner,
        "app_user": f"{stack.name}_app",
        "checks_role": stack.checks_role,
        "time_zone": project.time_zone(),
        # Its workers read below directories that may be closed to any other account.
        "account": pwd.getpwuid(os.geteuid()).pw_name,
        "run": str(stack.nginx_run),
        "logs": str(stack.nginx_logs),
        "pages": str(stack.pages),
        "certificates": str(stack.certificates),
    }


def _start_database(stack: OtherStack) -> bool:
    """Start the database and wait until it takes connections; what is left of a history made half-way goes first.

    Returns:
        Whether it is empty.
    """
    if not stack.state().get("sown"):
        _remove_from_engine(stack)
    compose.ensure_network_and_volumes(stack)
    compose.ensure(stack, "postgres")
    deadline = time.monotonic() + HEALTHY_SECONDS
    while True:
        try:
            stack.execute("postgres", "pg_isready", "--quiet", "--host=127.0.0.1")
        except LabError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            break
    if stack.psql("SELECT to_regclass('api_activity')").strip():
        return False
    stack.psql(ONLY_PG_MONITOR.format(role=stack.checks_role))
    stack.remember(sown=False)
    return True


def _make_history(stack: OtherStack) -> None:
    now = dt.datetime.now().astimezone()
    for leftover in stack.backups.iterdir():
        leftover.unlink()
    web_server.stop(stack)
    with ThreadPoolExecutor(1) as aside:
        logs = aside.submit(history.write_logs, stack, now)
        history.sow(stack, now)
        logs.result()
    stack.remember(sown=True)


def _catch_up(stack: OtherStack) -> None:
    now = dt.datetime.now().astimezone()
    web_server.stop(stack)
    for log in (stack.access_log, stack.error_log):
        if log.exists():
            history.rotate(log, now.date())
    history.catch_up(stack, now)


def recovered(stack: OtherStack) -> None:
    """Wait until every container is healthy and the site answers.

    Raises:
        LabError: It is not so after a minute.
    """
    stack.wait_healthy(HEALTHY_SECONDS)
    deadline = time.monotonic() + ANSWER_SECONDS
    while complaints := traffic.answers(stack):
        if time.monotonic() > deadline:
            raise LabError(f"the site of {stack.name} does not answer: {'; '.join(complaints)}")
        time.sleep(0.2)


def complaints_of(stack: OtherStack) -> list[str]:
    """What is not as it should be: one short phrase for each thing."""
    proxy = [] if web_server.pid(stack) else ["nginx does not run"]
    return stack.unhealthy() + proxy + traffic.answers(stack)


def down(stack: OtherStack, *, keep_images: bool = False) -> bool:
    """Throw the stack away, however much of it there is.

    Args:
        stack: Which one.
        keep_images: Leave the images, so that the next `up` need not build.

    Returns:
        Whether there was anything.

    Raises:
        LabError: Something of it could not be removed, or it is another checkout's.
    """
    there = stack.directory.exists()
    if engine_answers():
        refuse_elsewhere(stack)
        there = _remove_from_engine(stack) or there
        if not keep_images:
            _remove_images(stack)
    web_server.stop(stack)
    shutil.rmtree(stack.directory, ignore_errors=True)
    if stack.directory.exists():
        raise LabError(f"{stack.directory} could not be removed")
    if not keep_images and engine_answers() and not other_labs(stack):
        remove_base_if_ours()
    with contextlib.suppress(OSError):
        stack.directory.parent.rmdir()
    return there


def _remove_from_engine(stack: OtherStack) -> bool:
    import docker

    label = {"label": f"{compose.PREFIX}project={stack.project}"}
    engine = client()
    found = False
    for container in engine.containers.list(all=True, filters=label, ignore_removed=True):
        found = True
        with contextlib.suppress(docker.errors.NotFound):
            container.remove(force=True, v=True)
    for network in engine.networks.list(filters=label):
        found = True
        network.remove()
    for volume in engine.volumes.list(filters=label):
        found = True
        volume.remove(force=True)
    remove_replaced_images(stack)
    return found


def _remove_images(stack: OtherStack) -> None:
    import docker

    for service in IMAGES.values():
        with contextlib.suppress(docker.errors.ImageNotFound):
            client().images.remove(f"{stack.project}-{service}", force=True)


@contextlib.contextmanager
def _alone(stack: OtherStack) -> Iterator[None]:
    """Keep a second `up` of the same stack waiting."""
    stack.directory.mkdir(parents=True, exist_ok=True)
    with (stack.directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
