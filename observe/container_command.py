"""Commands inside a container: only such as are known to read, within a time limit.

Whatever isn't in the list below, word by word, is refused. A command runs as the container's own user, without a
terminal and with nothing to read, and is told in its environment to keep no cache and to write no log. Where npm
can't do without a cache, it gets one in a temporary directory that goes with it.

`docker exec` ends 1 for a container that is gone, just as a command that answers "no" does. So the engine is asked by
its interface, where the two differ.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from observe.deadline import TimeIsUp, within
from observe.errors import CannotTell
from observe.host import Ran
from target.kinds import say_bytes, say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import docker

    from observe.engine import Container, Engine
    from target.kinds import Secret

PYTHON = re.compile(r"(?:/(?:[^/\0]+/)*)?(?:python|pypy)[0-9.]*")
NPM = re.compile(r"(?:/(?:[^/\0]+/)*)?npm")
MANAGE = re.compile(r"(?:(?!-)[^\0]*/)?manage\.py")
PLACE = re.compile(r"/[^\0]*")
REDIS = re.compile(r"(?:redis|valkey|keydb)-cli")

READS_ONLY: tuple[tuple[str | re.Pattern[str], ...], ...] = (
    (PYTHON, "-m", "pip", "list", "--format=json"),
    (PYTHON, "-m", "pip", "list", "--outdated", "--format=json", "-vv"),
    (PYTHON, "-m", "pip", "list", "--uptodate", "--format=json"),
    (NPM, "outdated", "--json"),
    (
        *(NPM, "audit", "--json", "--package-lock-only"),
        *("--include=dev", "--include=optional", "--include=peer", "--loglevel=info"),
    ),
    (NPM, "pkg", "get", "dependencies", "devDependencies", "optionalDependencies"),
    (PYTHON, MANAGE, "help"),
    (PYTHON, MANAGE, "check"),
    (PYTHON, MANAGE, "check", "--deploy", "--fail-level", "WARNING"),
    (PYTHON, MANAGE, "showmigrations", "--plan"),
    ("du", "-sk", PLACE),
    ("du", "-ak", "-d1", PLACE),
    (REDIS, "INFO"),
)
"""The commands that may be run in a target's container, each of just this shape.

`migrate --check` is none of them: with nothing unapplied, Django before 5.0 goes on as `migrate` does, and makes up
missing rows of permissions and content types.
"""

QUIET = {
    "LC_ALL": "C.UTF-8",
    "NO_COLOR": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONWARNINGS": "ignore",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_CACHE_DIR": "1",
    "PIP_NO_COLOR": "1",
    "PIP_NO_INPUT": "1",
    "PIP_RETRIES": "1",
    "npm_config_color": "false",
    "npm_config_fetch_retries": "1",
    "npm_config_fetch_retry_mintimeout": "500",
    "npm_config_fund": "false",
    "npm_config_loglevel": "http",
    "npm_config_logs_max": "0",
    "npm_config_progress": "false",
    "npm_config_update_notifier": "false",
}
"""What keeps them from writing, asking and decorating, and from trying again and again."""

_IN_TEMPORARY = """directory=$(mktemp -d) || exit 125
trap 'rm -rf "$directory"' EXIT
limit=$1
shift
if [ -n "${ops_checks_lock-}" ]; then
    mkdir "$directory/project" || exit 125
    [ ! -f .npmrc ] || cp .npmrc "$directory/project/" || exit 125
    printf %s "$ops_checks_lock" >"$directory/project/package-lock.json" || exit 125
    cd "$directory/project" || exit 125
fi
npm_config_cache=$directory timeout -k 1 "$limit" "$@"
"""
MOST = 8 * 1024 * 1024
_LOCK = "ops_checks_lock"
NO_SECRETS: Mapping[str, Secret] = {}
_LONGEST_LINE = 1024 * 1024
_TIMED_OUT = frozenset({124, 137})
_CANT_RUN = frozenset({125, 126, 127})


def known_to_read(command: Sequence[str]) -> bool:
    """Whether a command is one of :data:`READS_ONLY`, in every word."""
    return any(len(shape) == len(command) and all(map(_fits, shape, command)) for shape in READS_ONLY)


def _fits(wanted: str | re.Pattern[str], word: str) -> bool:
    return word == wanted if isinstance(wanted, str) else wanted.fullmatch(word) is not None


def run_inside(
    engine: Engine,
    container: Container,
    command: Sequence[str],
    seconds: float,
    *,
    directory: str | None = None,
    keep: Callable[[bytes], bool] | None = None,
    secrets: Mapping[str, Secret] = NO_SECRETS,
    lock: str = "",
) -> Ran:
    """Run a command that only reads in a container, as the container's own user.

    Args:
        engine: The engine that the container is on.
        container: Where.
        command: What, one of :data:`READS_ONLY`.
        seconds: Total time limit, in seconds.
        directory: Where in the container; None for the container's own working directory.
        keep: Which lines of its output matter; None for all. The others are passed over unread, however many.
        secrets: What it is given in its environment, and only there: a command's words are seen by every process.
        lock: A lock file that npm is to look at instead of the directory's own. It lies in the temporary directory,
            beside the directory's own .npmrc.

    Raises:
        CannotTell: If the container is gone or doesn't run, the command isn't there or mustn't be run, doesn't end
            in time, or prints more than can be held.
        ValueError: If the command isn't known to read only.
    """
    if not known_to_read(command):
        raise ValueError(f"{' '.join(command)} is not known to read only")
    return _run_inside(engine, container, command, seconds, directory=directory, keep=keep, secrets=secrets, lock=lock)


def _run_inside(
    engine: Engine,
    container: Container,
    command: Sequence[str],
    seconds: float,
    *,
    directory: str | None = None,
    keep: Callable[[bytes], bool] | None = None,
    secrets: Mapping[str, Secret] = NO_SECRETS,
    lock: str = "",
) -> Ran:
    said = f"{' '.join(command)[:80]} in {container.name}"
    limited: Sequence[str] = ("timeout", "-k", "1", str(math.ceil(seconds)), *command)
    if NPM.fullmatch(command[0]):
        limited = ("sh", "-c", _IN_TEMPORARY, "npm", str(math.ceil(seconds)), *command)

    def question(client: docker.DockerClient) -> tuple[int | None, bytes, bytes]:
        from docker.errors import APIError

        try:
            return _executed(client, container.id, limited, seconds, directory, keep, secrets, lock)
        except TimeIsUp:
            raise _too_late(said, seconds) from None
        except _TooMuch:
            raise CannotTell(f"{said} printed more than {say_bytes(MOST)}") from None
        except APIError as error:
            raise _refused(said, container, error) from None

    what = f"run {command[0]} in {container.name}"
    status, out, complaint = engine.ask(what, question, seconds=math.ceil(seconds) + 10)
    text, words = (one.decode("utf-8", errors="replace") for one in (out, complaint))
    if status in _TIMED_OUT:
        raise _too_late(said, seconds)
    if status is None or status in _CANT_RUN:
        why = " ".join((words or text).split())[:300]
        raise CannotTell(f"{said} can't be run: {why or 'it did not end by itself'}", cause=_cause(container))
    return Ran(status, text, words.strip())


class _TooMuch(Exception):  # noqa: N818  control flow: more was printed than is held
    pass


def _executed(
    client: docker.DockerClient,
    container: str,
    command: Sequence[str],
    seconds: float,
    directory: str | None,
    keep: Callable[[bytes], bool] | None,
    secrets: Mapping[str, Secret],
    lock: str,
) -> tuple[int | None, bytes, bytes]:
    api = client.api
    made = api.exec_create(
        container,
        list(command),
        environment={
            **QUIET,
            **({_LOCK: lock} if lock else {}),
            **{name: secret.reveal() for name, secret in secrets.items()},
        },
        workdir=directory,
        stdin=False,
        tty=False,
    )["Id"]
    stream = api.exec_start(made, stream=True, demux=True, tty=False)
    try:
        # `timeout` ends it over there; ours ends the waiting here.
        out, complaint = within(math.ceil(seconds) + 3, lambda: _collected(stream, keep), give_up=stream.close)
    except _TooMuch:
        stream.close()
        raise
    return api.exec_inspect(made)["ExitCode"], out, complaint


def _collected(
    stream: Iterable[tuple[bytes | None, bytes | None]], keep: Callable[[bytes], bool] | None
) -> tuple[bytes, bytes]:
    out, complaint, rest = bytearray(), bytearray(), b""
    for printed, complained in stream:
        complaint += complained or b""
        if printed and keep is None:
            out += printed
        elif printed and keep is not None:
            *lines, rest = (rest + printed).split(b"\n")
            out += b"".join(line + b"\n" for line in lines if keep(line))
        if len(out) > MOST or len(complaint) > MOST or len(rest) > _LONGEST_LINE:
            raise _TooMuch
    if rest and keep is not None and keep(rest):
        out += rest
    return bytes(out), bytes(complaint)


def _too_late(said: str, seconds: float) -> CannotTell:
    limit = say_span(timedelta(seconds=seconds))
    return CannotTell(f"{said} did not end within {limit}", mend="Run it by hand, and see what it waits for.")


def _refused(said: str, container: Container, error: docker.errors.APIError) -> CannotTell:
    """What the engine says before a command has begun: no such container, it doesn't run, it is paused."""
    why = " ".join(str(error.explanation or error).split())[:300]
    if error.status_code == 404:
        return CannotTell(f"{said} can't be run: the container is gone", cause=_cause(container))
    return CannotTell(f"{said} can't be run: {why}", cause=_cause(container))


def _cause(container: Container) -> str:
    return f"service {container.service}"
