"""Bringing a lab up, and throwing it away."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from lab import access_history, advisories, figures, history, packages, project, traffic
from lab.base_image import BASE, ensure_base, remove_base_if_ours
from lab.engine import client, compose_command, engine_answers, ensure_engine
from lab.progress import LabError, Steps, run, say
from lab.stack import CHECKOUT, Lab

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS = 8
DRILLS = 2
LOGS = ("-m", "monday", "-k", "nothing_new")
DRILL = ("-m", "mid_month", "-k", "backup_restores")
TEST_EVENT = ("-m", "readiness", "-k", "on_call", "--allow-disruption")
HEALTHY_SECONDS = 45.0
DATABASE_SECONDS = 60.0
BACKUP_SECONDS = 30.0


def up(lab: Lab) -> None:
    """Bring a lab up, or mend what is missing of one that stands.

    Ends when every health check is healthy and the site answers.

    Raises:
        LabError: a step failed, with what the tools said.
        SystemExit: there is no Docker engine and none can be installed.
    """
    steps = Steps(STEPS)
    with _alone(lab):
        with steps.step("a Docker engine"):
            ensure_engine()
        refuse_elsewhere(lab)
        with steps.step(f"the base image {BASE}"):
            ensure_base()
        with steps.step("project, certificates and proxy configuration"):
            unmount_all(lab)
            changed = project.write(lab)
        with steps.step("building images"), ThreadPoolExecutor(1) as aside:
            scanner = aside.submit(packages.ensure_wapiti)
            build(lab)
            scanner.result()
        with steps.step("database, migrated"):
            fresh = start_database(lab)
            if fresh:
                lab.compose("up", "--detach", "--no-deps", "--scale", "backend=1", "backend")
                lab.manage("migrate")
        with steps.step("a year of rows, backups and logs" if fresh else "last night's backup, rotated logs"):
            make_history(lab) if fresh else catch_up_logs(lab)
        with steps.step("all services, healthy and answering"):
            packages.up(lab)
            advisories.up(lab)
            start_all(lab, reload_nginx=changed)
            figures.sow(lab, dt.datetime.now().astimezone())
        with steps.step("a first look at the logs, a first restore drill, a test event"):
            look_first(lab)
            send_test_event(lab)
    say(f"lab {lab.name} stands: https://{lab.domain}/ on 127.0.0.1:{lab.https_port}")
    say(f"its target file: {lab.target_file}")


def build(lab: Lab) -> None:
    """Build the images unless nothing of their sources changed since."""
    digest = project.sources_digest()
    if lab.state().get("built") == digest and len(_image_ids(lab)) == len(project.IMAGES):
        return
    parallel = ("--parallel",) if compose_command() == ("docker-compose",) else ()
    older = _image_ids(lab)
    lab.compose("build", *parallel)
    replaced = {*lab.state().get("replaced", []), *older} - _image_ids(lab)
    lab.remember(built=digest, replaced=sorted(replaced))


def _image_ids(lab: Lab) -> set[str]:
    tags = [f"{lab.name}_{image}:latest" for image in project.IMAGES]
    return {str(image.id) for tag in tags for image in client().images.list(name=tag)}


def remove_replaced_images(lab: Lab) -> None:
    """Remove the images that a build took the tags from, once no container runs on them."""
    import docker

    try:
        replaced = set(lab.state().get("replaced", []))
    except LabError:
        return
    for image in sorted(replaced):
        try:
            client().images.remove(image)
        except docker.errors.ImageNotFound:
            replaced.discard(image)
        except docker.errors.APIError:
            # Still in use, or the base of another lab's.
            continue
        else:
            replaced.discard(image)
    lab.remember(replaced=sorted(replaced))


def start_database(lab: Lab) -> bool:
    """Start database and cache alone and wait until the database takes connections.

    What is left of a history made half-way is thrown away first.

    Returns:
        Whether the database is empty.

    Raises:
        LabError: it does not answer within a minute.
    """
    _unpause(lab)
    if not lab.state().get("sown"):
        _remove_from_engine(lab, keep_images=True)
    _start_database(lab)
    # A lab of an earlier version may read less than the checks now want to.
    lab.psql("GRANT pg_monitor, pg_read_all_data TO ops_checks")
    if lab.psql("SELECT to_regclass('api_activity')").strip():
        return False
    if lab.state().get("sown"):
        # Someone took the volume away. Its backups and logs would not fit a new one's rows.
        lab.remember(sown=False)
    return True


def _start_database(lab: Lab) -> None:
    lab.compose("up", "--detach", "--no-deps", "db", "redis")
    deadline = time.monotonic() + DATABASE_SECONDS
    while True:
        try:
            lab.execute("db", "pg_isready", "--quiet", "--host=127.0.0.1")
        except LabError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def make_history(lab: Lab) -> None:
    """Fill the database, write the nightly backups, and the proxy's logs beside them."""
    now = dt.datetime.now().astimezone()
    with ThreadPoolExecutor(1) as aside:
        logs = aside.submit(access_history.write, lab.nginx_logs, now, lab.domain)
        history.sow(lab, now)
        logs.result()
    lab.remember(sown=True)


def catch_up_logs(lab: Lab) -> None:
    """On a lab that has stood overnight: rotate the access log, keep the retention."""
    now = dt.datetime.now().astimezone()
    if access_history.rotate(lab.nginx_logs, now.date()):
        with contextlib.suppress(LabError):
            lab.execute("nginx", "nginx", "-c", "/etc/nginx/synk/nginx.conf", "-s", "reopen")
    history.prune(lab, now)


def start_all(lab: Lab, *, reload_nginx: bool = False) -> None:
    """Start everything, wait for the health checks, and send a morning's worth of requests.

    Args:
        lab: which one.
        reload_nginx: tell the proxy that its files have changed.

    Raises:
        LabError: a container does not get healthy, or the site does not answer.
    """
    lab.compose("up", "--detach", "--remove-orphans")
    try:
        lab.wait_healthy(HEALTHY_SECONDS)
    except LabError:
        # What Compose takes for unchanged may still be cut off, or broken inside: made anew, it is not.
        lab.compose("up", "--detach", "--force-recreate")
        lab.wait_healthy(HEALTHY_SECONDS)
    if reload_nginx:
        lab.reload_nginx()
    # The proxy asks Docker's resolver anew every two seconds, so it may yet be behind.
    deadline = time.monotonic() + 10
    while complaints := traffic.answers(lab):
        if time.monotonic() > deadline:
            raise LabError(
                f"the site of lab {lab.name} does not answer: {'; '.join(complaints)}; "
                "if it stays so, throw the lab away with: python -m lab down"
            )
        time.sleep(0.3)
    traffic.usual_morning(lab)
    ensure_backup(lab)
    remove_replaced_images(lab)


def look_first(lab: Lab) -> None:
    """Let the checks make a baseline of the kinds in the logs, and prove the last two backups, unless they have.

    Two, as after some weeks of drills: when the newest comes to harm, there is still one that is known to be good.

    Raises:
        LabError: they did not.
    """
    if _first_looks(lab):
        return
    older, _ = sorted(path.name for path in lab.backups.glob("synk_backup_*.sql.gz"))[-2:]
    said = [_look(lab, *LOGS), _look(lab, *DRILL), _look(lab, *DRILL, OPS_RESTORE__BACKUP=older)]
    if not _first_looks(lab):
        raise LabError(f"the checks' first look at lab {lab.name} came to nothing:\n{''.join(said)[-4000:]}")


def send_test_event(lab: Lab) -> None:
    """Let the checks send a test event by the lab's alert route, unless they know that it has taken one.

    Raises:
        LabError: it took none.
    """
    if _event_taken(lab):
        return
    said = _look(lab, *TEST_EVENT)
    if not _event_taken(lab):
        raise LabError(f"the alert route of lab {lab.name} took no test event:\n{said[-4000:]}")


def _event_taken(lab: Lab) -> bool:
    with contextlib.closing(sqlite3.connect(lab.history_file)) as history:
        (taken,) = history.execute("SELECT count(*) FROM figure WHERE slug = 'on-call-route'").fetchone()
        return bool(taken)


def _look(lab: Lab, *arguments: str, **variables: str) -> str:
    """Run some of the checks, and return what they print."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    with tempfile.TemporaryDirectory(prefix=f"{lab.name}-first-look-") as directory:
        reports = ["--html", f"{directory}/report.html", "--junitxml", f"{directory}/report.xml"]
        # The settings of a run around this one are not for this one.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OPS_")} | variables
        command += [*reports, "--target", str(lab.target_file)]
        return run(command, cwd=CHECKOUT, env=environment, check=False).stdout


def _first_looks(lab: Lab) -> bool:
    """Whether the checks have looked at the kinds in the logs, and have proven two backups."""
    if not lab.history_file.exists():
        return False
    with contextlib.closing(sqlite3.connect(lab.history_file)) as history:
        try:
            looks, drills = history.execute(
                "SELECT (SELECT count(*) FROM log_window), "
                "(SELECT count(DISTINCT json_extract(receipt, '$.file')) FROM restore_drill WHERE proven)"
            ).fetchone()
        except sqlite3.OperationalError:
            return False  # of an older suite
        return bool(looks and drills >= DRILLS)


def ensure_backup(lab: Lab) -> None:
    """Make last night's backup when it is missing, as anacron would.

    The backup's container does the same by itself when it starts; one under way is waited for.

    Raises:
        LabError: the backup failed.
    """
    night = history.nights(dt.datetime.now().astimezone(), 1)[0]
    deadline = time.monotonic() + BACKUP_SECONDS
    while list(lab.backups.glob("*.partial")) and time.monotonic() < deadline:
        time.sleep(0.2)
    if not list(lab.backups.glob(f"synk_backup_{night:%Y%m%d}_*.sql.gz")):
        lab.execute("backup", "/project/backup.sh")


def down(lab: Lab, *, keep_images: bool = False) -> bool:
    """Throw a lab away, however much of it there is.

    Args:
        lab: which one.
        keep_images: leave the images, so that the next `up` need not build.

    Returns:
        Whether there was anything.

    Raises:
        LabError: something of it could not be removed, or it is another checkout's.
    """
    there = lab.directory.exists()
    if (lab.directory / "door").exists():
        # A door by SSH that was killed has left an account, and ACLs outside of the lab.
        from lab import ssh_door

        ssh_door.clear(lab)
    if engine_answers():
        refuse_elsewhere(lab)
        there = _remove_from_engine(lab, keep_images=keep_images) or there
    _remove_directory(lab)
    if not keep_images and engine_answers() and not other_labs(lab):
        remove_base_if_ours()
    return there


def refuse_elsewhere(lab: Lab) -> None:
    """Leave alone a lab of the same name that another checkout has.

    Raises:
        LabError: there is one, with where it is and what to do.
    """
    for container in lab.containers():
        where = Path(container.labels.get("com.docker.compose.project.working_dir", ""))
        if where != lab.project_directory and where.is_dir():
            raise LabError(
                f"a Compose project named {lab.name} runs already, from {where}; "
                "throw it away there, or choose another name for this one, such as LAB=otherlab"
            )


def other_labs(lab: Lab) -> list[str]:
    """Names of the other labs that have a directory in this checkout."""
    labs = CHECKOUT / ".lab"
    return sorted(d.name for d in labs.iterdir() if d.is_dir() and d.name != lab.name) if labs.is_dir() else []


def _remove_from_engine(lab: Lab, *, keep_images: bool) -> bool:
    """Remove by label and name, without Compose: it works on half of a lab, too."""
    import docker

    label = {"label": f"com.docker.compose.project={lab.name}"}
    engine = client()
    # They hang on the project's network and belong to nobody's project.
    found = any([packages.down(lab), advisories.down(lab)])
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
    remove_replaced_images(lab)
    if not keep_images:
        for image in project.IMAGES:
            with contextlib.suppress(docker.errors.ImageNotFound):
                engine.images.remove(f"{lab.name}_{image}", force=True)
                found = True
    return found


def _remove_directory(lab: Lab) -> None:
    unmount_all(lab)
    shutil.rmtree(lab.directory, ignore_errors=True)
    if lab.directory.exists():
        # Containers wrote files as root and we are not root: a container can take them away, too.
        where = {str(lab.directory.parent): {"bind": "/labs", "mode": "rw"}}
        client().containers.run(BASE, ["rm", "-rf", f"/labs/{lab.name}"], volumes=where, remove=True)
    if lab.directory.exists():
        raise LabError(f"{lab.directory} could not be removed")
    with contextlib.suppress(OSError):
        lab.directory.parent.rmdir()


def unmount_all(lab: Lab) -> None:
    """Unmount what a fault that was killed half-way left mounted."""
    for mount in reversed(mounts_below(lab.directory)):
        run(["umount", "--lazy", mount])


def mounts_below(directory: Path) -> list[str]:
    """Mount points inside a directory, in the order in which they were mounted."""
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return []
    points = [line.split()[1].replace("\\040", " ") for line in lines]
    return [point for point in points if Path(point).is_relative_to(directory)]


def _unpause(lab: Lab) -> None:
    for container in lab.containers():
        if container.status == "paused":
            container.unpause()


@contextlib.contextmanager
def _alone(lab: Lab) -> Iterator[None]:
    """Keep a second `up` of the same lab waiting."""
    lab.directory.mkdir(parents=True, exist_ok=True)
    with (lab.directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            if [path.name for path in lab.directory.iterdir()] == [".lock"]:
                # It came to nothing; leave nothing.
                shutil.rmtree(lab.directory)
