"""The command line: python -m discover [--project NAME] [--out FILE] [--host ssh://…] [--domain NAME]."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shlex
import sys
import tempfile
import tomllib
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discover.draft import TABLES, difference, toml
from discover.finding import find
from discover.scene import Scene
from discover.sight import Here, There
from discover.stacks import Stack, stacks
from observe.engine import Engine
from observe.errors import CannotTell
from report.text import plain
from target.load import TargetError, load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from discover.draft import Draft
    from discover.sight import Sight

DONE, DIFFERS, WRONGLY_ASKED, BLIND = 0, 1, 2, 3
"""The exit statuses: written, or nothing has changed; the file that is there differs; asked in a way that can't be
answered; nothing could be seen."""
SOCKET = "/var/run/docker.sock"
_SECONDS = 20.0
NO_SETTINGS: dict[str, str] = {}


class Refused(Exception):  # noqa: N818  it is for the operator, and nothing has failed
    """What can't be answered as it was asked; the text says how to ask."""


def main(
    arguments: Sequence[str] | None = None,
    *,
    ask: Callable[[str], str] | None = None,
    say: Callable[[str], object] = print,
) -> int:
    """Look around and write a target file, or say how the one that is there differs.

    Args:
        arguments: The words after the program's name; None for this process's own.
        ask: Asks a person for one line; None asks on the terminal, where there is one.
        say: Takes what is said, line by line.

    Returns:
        The exit status, one of those above.
    """
    options = _parser().parse_args(arguments)
    out = Path(options.out)
    if ask is None and sys.stdin.isatty() and sys.stdout.isatty():
        ask = input
    sight: Sight | None = None
    engine: Engine | None = None
    try:
        _ready(out)
        sight, engine, where = _connected(options)
        stack = _chosen(stacks(engine), options.project, where, ask, say)
        say(f"looking at the {stack} ...")
        scene = Scene(engine, sight, stack, domain=options.domain)
        draft = find(scene)
        return _written(draft, _head(scene, where), out, say)
    except Refused as refused:
        say(str(refused))
        return WRONGLY_ASKED
    except CannotTell as told:
        say(f"{told.what}." + (f"\n{told.mend}" if told.mend else ""))
        return BLIND
    except (KeyboardInterrupt, EOFError):
        say("\nnothing was written.")
        return WRONGLY_ASKED
    finally:
        if engine is not None:
            engine.close()
        if isinstance(sight, There):
            sight.ssh.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m discover",
        description="Finds a running stack and writes a commented target file for it. It changes nothing over there.",
    )
    parser.add_argument("--project", default="", help="the Compose project or the Swarm stack; not given: it asks")
    parser.add_argument("--out", default="target.toml", help="the file to write; one that is there stays as it is")
    parser.add_argument("--host", default="", help="ssh://user@name: the stack's host, if it is another machine")
    parser.add_argument("--ssh-config", default="", help="a configuration for ssh instead of the user's own")
    parser.add_argument("--domain", default="", help="the site's name, where nginx has several or none")
    return parser


def _connected(options: argparse.Namespace) -> tuple[Sight, Engine, str]:
    """The host, its engine, and what to call that."""
    if options.domain and not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", options.domain):
        raise Refused(f"{plain(options.domain, 80)!r} is no domain: give its name alone, such as example.org")
    endpoint = _endpoint()
    url = options.host or (endpoint if endpoint.startswith("ssh://") else "")
    if not url:
        if endpoint and not endpoint.startswith("unix://"):
            raise Refused(
                f"the engine is on another machine ({plain(endpoint, 80)}), whose files can't be seen from here. "
                "Reach it over SSH: HOST=ssh://user@name, or run this there."
            )
        return Here(), Engine("", _SECONDS), endpoint or "this machine's engine"
    if not re.fullmatch(r"ssh://[^\s/]+/?", url):
        raise Refused(f"{plain(url, 80)!r} is no host: it is written as ssh://user@name")
    config = Path(options.ssh_config).resolve() if options.ssh_config else None
    there = There(url.rstrip("/"), config)
    try:
        socket = there.ssh.forward_socket(SOCKET)
    except BaseException:
        there.ssh.close()
        raise
    return there, Engine(f"unix://{socket}", _SECONDS), f"the engine of {there.url}"


def _endpoint() -> str:
    """Where the engine is, by DOCKER_HOST or the current Docker context; empty for the usual place."""
    if given := os.environ.get("DOCKER_HOST", ""):
        return given
    host = ""
    with suppress(Exception):  # a broken context is the engine's to complain of
        from docker import ContextAPI

        # As the client itself resolves it.
        host = str(ContextAPI.kwargs_from_context().get("base_url", ""))
    named = os.environ.get("DOCKER_CONTEXT", "")
    if named not in {"", "default"} and not host:
        # The client would silently take this machine's engine instead.
        raise Refused(f"the Docker context {plain(named, 80)!r} can't be read here: name its engine with DOCKER_HOST=…")
    return "" if host == f"unix://{SOCKET}" or not host.startswith(("unix://", "tcp://", "ssh://", "http")) else host


def _chosen(
    found: Sequence[Stack],
    wanted: str,
    where: str,
    ask: Callable[[str], str] | None,
    say: Callable[[str], object],
) -> Stack:
    """The stack that is meant."""
    if not found:
        raise Refused(
            f"There is no Compose project and no Swarm stack on {where}: no container has their labels. "
            "Bring the stack up first; or is it on another machine (HOST=ssh://user@name)?"
        )
    if wanted:
        return _by_name(found, wanted)
    if len(found) == 1:
        return found[0]
    say(f"{len(found)} were found on {where}:")
    for line in _listed(found):
        say(line)
    if ask is None:
        raise Refused("Which one? Name it: make target PROJECT=…, or python -m discover --project …")
    for _ in range(3):
        answer = ask(f"Which one? [1-{len(found)}, or its name] ").strip()
        if answer.isdigit() and 1 <= int(answer) <= len(found):
            return found[int(answer) - 1]
        try:
            return _by_name(found, answer)
        except Refused as refused:
            say(str(refused))
    raise Refused("Nothing was written.")


def _by_name(found: Sequence[Stack], wanted: str) -> Stack:
    same = [one for one in found if one.name == wanted]
    if same:
        return same[0]
    names = [one.name for one in found]
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5) or [one for one in names if wanted in one][:3]
    perhaps = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(names[:20])}."
    perhaps = plain(perhaps, 2000)
    raise Refused(f"There is no Compose project or Swarm stack {plain(wanted, 80)!r}. {perhaps}")


def _listed(found: Sequence[Stack]) -> list[str]:
    wide = max(len(plain(one.name, 80)) for one in found)
    return [
        f"  {number}  {plain(one.name, 80):{wide}}  {one.kind:7}  {len(one.services)} services, "
        f"{one.running} of {one.containers} containers run  {plain(one.directory)}"
        for number, one in enumerate(found, 1)
    ]


def _head(scene: Scene, where: str) -> str:
    try:
        of = f"synk-operations-checks {version('synk-operations-checks')}"
    except PackageNotFoundError:
        of = f"synk-operations-checks {_version_here()}"
    now = datetime.now(UTC)
    return f"The {scene.stack} on {plain(where)}, as `make target` ({of}) found it on {now:%Y-%m-%d at %H:%M} UTC."


def _version_here() -> str:
    file = Path(__file__).resolve().parents[1] / "pyproject.toml"
    return str(tomllib.loads(file.read_text(encoding="utf-8"))["project"]["version"])


def _ready(out: Path) -> None:
    """Insist, before anything is looked at, that the file can be written or, where there is one, be read."""
    if out.exists():
        try:
            load(out, NO_SETTINGS)
        except TargetError as error:
            raise Refused(f"{out} is there and is left as it is, but can't be read:\n{error}") from None
    elif not (out.resolve().parent.is_dir() and os.access(out.resolve().parent, os.W_OK)):
        why = "you may not write there" if out.resolve().parent.is_dir() else "there is no such directory"
        raise Refused(f"{out} can't be written: {why}. Name another file: OUT=…")


def _written(draft: Draft, head: str, out: Path, say: Callable[[str], object]) -> int:
    beside = "" if out.parent == Path() else f"{shlex.quote(str(out.parent))}/"
    for number, (words, commands) in enumerate(draft.steps):
        filled = (one.replace("@file@", shlex.quote(str(out))).replace("@beside@", beside) for one in commands)
        draft.steps[number] = (words, tuple(filled))
    text = draft.text(head)
    if out.exists():
        return _compared(draft, text, out, say)
    try:
        # Not over one that somebody has put there meanwhile.
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
        load(out, NO_SETTINGS)
    except OSError as error:
        raise Refused(f"{out} can't be written: {error.strerror}. Name another file: OUT=…") from None
    except TargetError as error:
        raise CannotTell(f"{out} was written, and can't be read as it is:\n{error}", mend="Mend it by hand.") from None
    _said(draft, out, say)
    return DONE


def _said(draft: Draft, out: Path, say: Callable[[str], object]) -> None:
    """What was written, for the terminal."""
    wide = max(len(one.name) for one in draft.settings)
    say("")
    for one in draft.settings:
        say(f"  {one.name:{wide}}  {plain(toml(one.value), 70)}")
    for blind in draft.unseen:
        say(f"  not seen: {plain(blind, 300)}")
    if draft.questions:
        say("")
        say(f"Left open in {out}, at its lines that begin with '# ?':")
        for one in draft.questions:
            say(f"  {one.name:{wide}}  {plain(one.why, 300)}")
    say("")
    say(f"{out} is written, with a reason beside every setting. What is left to do:")
    for number, (words, commands) in enumerate(draft.steps, 1):
        say(f"  {number}. {words}")
        for command in commands:
            say(f"       {command}")


def _compared(draft: Draft, text: str, out: Path, say: Callable[[str], object]) -> int:
    """Say how the file that is there differs from what was found; it is left as it is."""
    there = load(out, NO_SETTINGS)
    with tempfile.TemporaryDirectory(prefix="discovered-") as beside:
        file = Path(beside, "target.toml")
        file.write_text(text, encoding="utf-8")
        now = load(file, NO_SETTINGS)
    names = [one.name for one in draft.settings]
    relative = {"database.password_file"}  # beside the file, wherever that is
    own = sorted(set(there.origins) - {one.name for one in draft.entries} - _tables(there.origins) - set(TABLES))
    lines = difference(
        draft,
        {name: None if name in relative else _at(there.target, name) for name in names},
        {name: None if name in relative else _at(now.target, name) for name in names},
        own,
    )
    if not lines:
        say(f"{out} is there and is left as it is; what was found says the same ({len(names)} settings).")
        return DONE
    say(f"{out} is there and is left as it is. What was found differs:")
    say("")
    for line in lines:
        say(f"  {line}".rstrip())
    say("")
    say("Change what is right, or write what was found beside it: OUT=another.toml")
    return DIFFERS


def _tables(names: Sequence[str] | Any) -> set[str]:  # noqa: ANN401  the keys of a mapping
    return {one for one in names if any(other.startswith(f"{one}.") for other in names)}


def _at(target: object, name: str) -> object:
    for part in name.split("."):
        target = getattr(target, part)
    return target


if __name__ == "__main__":
    sys.exit(main())
