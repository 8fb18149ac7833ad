"""From what is seen to the settings: the project, its services, its database, its backups, its directory."""

from __future__ import annotations

import os
import shlex
import time
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from discover import of_site
from discover.draft import Draft
from discover.dumps import find_dumps
from discover.parts import TRAITS, guess
from discover.services_named import there
from observe.compose import NAMES, OVERRIDES
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from discover.dumps import Looked
    from discover.parts import Guess
    from discover.scene import Scene
    from discover.stacks import Seen

ROLE = "ops_checks"
_LOG_NEEDED = timedelta(hours=12)
"""Half of the longest window of a day's look at a container's log."""
_STORES = ("S3_BUCKET", "AWS_STORAGE_BUCKET_NAME", "BACKUP_BUCKET", "WALG_S3_PREFIX", "RESTIC_REPOSITORY", "B2_BUCKET")


def find(scene: Scene) -> Draft:
    """Look at a stack and draw up its settings.

    Raises:
        CannotTell: If the engine can't be asked.
    """
    draft = Draft()
    parts = _parts(scene)
    _project(scene, draft)
    _services(scene, draft, parts)
    _host(scene, draft)
    of_site.site(scene, draft)
    _database(scene, draft, parts)
    _backups(scene, draft)
    _application(scene, draft, parts)
    of_site.logs(scene, draft)
    _denied(scene, draft)
    _looked(scene, draft)
    _steps(scene, draft, parts)
    return draft


def _parts(scene: Scene) -> dict[str, Guess]:
    found = {part: guess(part, scene.seen) for part in TRAITS if part != "backend"}
    taken = {one.service for one in found.values()} - {""}
    left = [one for one in scene.seen if one.service not in taken]
    beside: dict[str, list[tuple[str, str]]] = {}
    if scene.chosen is not None:
        front, server = scene.chosen
        for location in server.locations:
            for target in location.passes:
                if (service := scene.service_behind(front, target)) and location.path != "/":
                    beside.setdefault(service, []).append(("passed", f"nginx passes {location.path} on to it"))
    for one in left:
        if place := scene.manage(one):
            beside.setdefault(one.service, []).append(("file", f"{place} lies in it"))
    found["backend"] = guess("backend", left, {service: _few(reasons) for service, reasons in beside.items()})
    return found


def _few(reasons: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """One reason of each kind is enough for the reader."""
    return list({kind: (kind, words) for kind, words in reversed(reasons)}.values())


def _project(scene: Scene, draft: Draft) -> None:
    stack = scene.stack
    draft.found("name", stack.name, "what reports call it")
    draft.found("project.name", stack.name, "by the containers' labels")
    if stack.kind == "swarm":
        draft.found("project.orchestrator", "swarm", "its services are a Swarm's")
    if scene.directory and scene.directory == stack.directory:
        draft.found("project.directory", scene.directory, "by the containers' labels")
    elif scene.directory:
        why = f"the labels say {stack.directory}, which is gone; the Compose file here names the same services"
        draft.found("project.directory", scene.directory, why)
    else:
        gone = f"The labels say {stack.directory}, and there is no such directory on {scene.sight.where}."
        nothing = "A Swarm doesn't say." if stack.kind == "swarm" else "Nothing says."
        draft.must(
            "project.directory",
            stack.directory or f"/srv/{stack.name}",
            f"Where do its Compose file and its papers lie now? {gone if stack.directory else nothing}",
        )
    _files(scene, draft)
    _script(scene, draft)


def _files(scene: Scene, draft: Draft) -> None:
    names = [PurePosixPath(one) for one in map(str, scene.files)]
    usual = {*NAMES, *OVERRIDES}
    odd = any(one.name not in usual or str(one.parent) != scene.directory for one in names) or len(names) > 2
    if scene.directory and odd:
        draft.found("project.files", [str(one) for one in names], "by the containers' labels, in their order")
    if on := sorted(_profiles_on(scene)):
        draft.found("project.profiles", on, "containers of services of these profiles are there")


def _profiles_on(scene: Scene) -> set[str]:
    counts = there(scene.seen)
    return {profiles[0] for name, profiles in (scene.named.profiled or {}).items() if counts.get(name) and profiles}


def _script(scene: Scene, draft: Draft) -> None:
    usual = "pre-deployment-security-check.sh"
    if not scene.directory:
        return
    try:
        names = [name for name, _ in scene.sight.listed(scene.directory)]
    except OSError:
        return
    like = [one for one in names if "security" in one.lower() and one.endswith(".sh")]
    if usual in names or not like:
        return
    draft.ask("project.security_script", like[0], "The guide's security check isn't there by its name. Is this it?")


def _services(scene: Scene, draft: Draft, parts: Mapping[str, Guess]) -> None:
    named, counts = scene.named, there(scene.seen)
    names = list(dict.fromkeys((*named.names, *(one for one in counts if one))))
    listed = scene.elsewhere or scene.stack.kind == "swarm" or named.wanted is None
    if listed:
        on = [one for one in names if one in (named.wanted or {}) or counts.get(one)] or names
        why = "they can't be read from the Compose files while tests are collected"
        if scene.stack.kind == "swarm":
            why = "the Swarm's services"
        elif named.wanted is None:
            why = "the Compose files can't be read strictly, see above; these have containers"
        draft.found("services.names", on, why)
        _idle(draft, [one for one in named.tolerant if one not in on])
    _part(draft, "database", parts["database"], "Which service is PostgreSQL?", needed=listed)
    _part(draft, "backend", parts["backend"], "Which service is Django?", needed=listed)
    _part(draft, "cache", parts["cache"], "Which service is the Redis that is the application's cache?", needed=False)
    if parts["pooler"].service:
        draft.found("services.pooler", parts["pooler"].service, parts["pooler"].why)
    if scene.stack.kind == "swarm":
        return  # how many are wanted it knows itself
    more = {name: number for name, number in counts.items() if name and number > (named.wanted or {}).get(name, 1)}
    if more:
        said = f"want {', '.join(f'{(named.wanted or {}).get(one, 1)} of {one}' for one in more)}"
        said = said if named.wanted is not None else "can't be read for how many they want"
        draft.found("services.wanted", more, f"so many containers are there; the Compose files {said}")
    fewer = {name: number for name, number in (named.wanted or {}).items() if counts.get(name, 0) < number}
    if fewer:
        said = ", ".join(f"{number} of {name}, and {counts.get(name, 0)} are there" for name, number in fewer.items())
        meant = {name: counts.get(name, 0) for name in fewer}
        draft.ask("services.wanted", meant, f"The Compose files want {said}. Is that meant? Else it is broken.")


def _idle(draft: Draft, names: list[str]) -> None:
    """Services that a reading line by line has found and that have no container: nobody knows whether one is wanted."""
    if names:
        said = ", ".join(names)
        draft.ask("services.names", names, f"{said}: by the Compose files' lines, and without a container. Wanted?")


def _part(draft: Draft, part: str, found: Guess, question: str, *, needed: bool) -> None:
    """One part. Where the names of all services stand in the file, a default that is none of them can't be left."""
    name = f"services.{part}"
    if found.service:
        draft.found(name, found.service, found.why)
    elif found.instead:
        several = f"{question} Several could be: {found.why}."
        (draft.must if needed else draft.ask)(name, found.instead[0], several)
    elif part in {"database", "cache"}:
        elsewhere = "; somebody else manages it? Then [database] must say where" if part == "database" else ""
        draft.found(name, "", f"{found.why}{elsewhere}")
    else:
        unknown = f"{question} {found.why[:1].upper()}{found.why[1:]}."
        names = [one.value for one in draft.entries if one.name == "services.names" and isinstance(one.value, list)]
        if needed and names:
            draft.must(name, names[0][0], unknown)
        else:
            draft.ask(name, part, unknown)


def _host(scene: Scene, draft: Draft) -> None:
    if scene.elsewhere:
        draft.found("host.url", scene.sight.url, "it was reached there")
        if scene.sight.config is not None:
            draft.found("host.ssh_config", str(scene.sight.config), "it was reached by it")
        if scene.zone:
            draft.found("host.zone", scene.zone, "/etc/localtime there")
        else:
            draft.must("host.zone", "Etc/UTC", "Its zone couldn't be told. Which is it?")
    elif scene.zone:
        draft.mention("host.zone", scene.zone, "what this machine says itself")


def _database(scene: Scene, draft: Draft, parts: Mapping[str, Guess]) -> None:
    service = parts["database"].service
    of_it = [one for one in scene.seen if one.service == service] if service else []
    if not of_it:
        if not parts["database"].instead:
            draft.ask("database.host", "db.example.org", "No container is PostgreSQL. Where is it? Or give dsn_file.")
    else:
        published = [f"{host or '*'}:{port}" for one in of_it for host, port in one.published.get(5432, ())]
        way = "not published; reached by the container's address"
        if published or scene.stack.kind == "swarm":
            way = f"published on {', '.join(published)}" if published else "not published"
        if name := of_it[0].public.get("POSTGRES_DB", ""):
            draft.mention("database.name", name, f"POSTGRES_DB of {of_it[0].name}; its port is {way}")
    draft.found("database.user", ROLE, "a role that may look and nothing else; how to make it stands above")
    if os.environ.get("OPS_DATABASE__PASSWORD"):
        draft.mention("database.password_file", f"{ROLE}.password", "OPS_DATABASE__PASSWORD is in the environment")
    else:
        draft.found("database.password_file", f"{ROLE}.password", "beside this file, readable by you alone")


def _backups(scene: Scene, draft: Draft) -> None:
    looked = find_dumps(scene.sight, scene.directory, scene.seen, scene.zone)
    scene.unseen += looked.unread
    _where_they_lie(scene, looked, draft)
    if not looked.command:
        question = "What do you type to make one? No script with pg_dump in it was seen; reports would name it."
        draft.must("backups.command", "", question)
    elif looked.command != shlex.quote(f"{scene.directory}/backup.sh"):
        draft.found("backups.command", looked.command, "pg_dump stands in it; reports name it, and nobody runs it")


def _where_they_lie(scene: Scene, looked: Looked, draft: Draft) -> None:
    if not looked.found:
        hint = _stores(scene)
        draft.ask(
            "backups.directory",
            f"{scene.directory or '/srv'}/backups",
            f"No dated *.gz was found in {looked.directories} directories. Where do the dumps lie?{hint}",
        )
        draft.ask(
            "backups.pattern", f"{scene.stack.name}_%Y%m%d_%H%M%S.sql.gz", "How are they named, as strftime has it?"
        )
        if hint:
            draft.ask("backups.in_bucket", example=True, question="Do they lie in a bucket alone? Then see [offsite].")
        return
    best, *rest = looked.found
    said = f"{best.files} files, the newest is {best.newest}"
    draft.found("backups.directory", best.directory, f"{best.why}; {said}")
    more = f"; {best.others} that lie there have another" if best.others else ""
    draft.found("backups.pattern", best.pattern, f"{best.newest} has such a name{more}")
    if best.utc:
        draft.found("backups.zone", "UTC", "the times in the names fit the files' own by UTC")
    if rest:
        others = ", ".join(f"{one.directory} ({one.files}, newest {one.newest})" for one in rest[:3])
        draft.unseen.append(f"backups lie elsewhere as well, and the newest were taken: {others}")
    draft.looked.append(f"{best.directory}: {said}.")
    if hint := _stores(scene):
        draft.ask("offsite.bucket", "backups", f"Which bucket do copies of them go to?{hint}")


def _stores(scene: Scene) -> str:
    for one in scene.seen:
        if name := next((name for name in _STORES if name in one.variables), ""):
            return f" {one.service} has {name} in its environment."
    return ""


def _application(scene: Scene, draft: Draft, parts: Mapping[str, Guess]) -> None:
    of_it = next((one for one in scene.seen if one.service and one.service == parts["backend"].service), None)
    place = scene.manage(of_it) if of_it else ""
    if of_it and place and PurePosixPath(place).parent != PurePosixPath(of_it.working_directory):
        draft.found("application.manage", ["python3", place], f"it lies there in {of_it.name}")
    _npm(scene, draft)


def _npm(scene: Scene, draft: Draft) -> None:
    from discover.dumps import directories_below

    if not scene.directory:
        return
    usual = f"{scene.directory}/frontend"
    for one in dict.fromkeys((usual, scene.directory, *directories_below(scene.sight, scene.directory, 1))):
        try:
            there_is = scene.sight.path(f"{one}/package.json").is_file()
        except OSError:
            continue
        if there_is and one == usual:
            draft.mention("dependencies.npm_directory", one, "package.json lies there")
            return
        if there_is:
            draft.found("dependencies.npm_directory", one, "package.json lies there")
            return


def _denied(scene: Scene, draft: Draft) -> None:
    """What this user may not read: over SSH sudo may, and here the user is to be given the right."""
    paths = [one.partition(": ")[0] for one in scene.unseen if one.startswith("/") and "ermission denied" in one]
    places = sorted({str(PurePosixPath(one).parent) for one in paths})
    if not places:
        return
    if scene.elsewhere:
        draft.ask("host.sudo", places, "What lies there may not be read by this account. May `sudo -n` read it?")
    said = f"Some of {', '.join(places)} may not be read by this user: docs/first-day.md says which right is for what."
    draft.steps.append((said, ()))


def _looked(scene: Scene, draft: Draft) -> None:
    services = len({one.service for one in scene.seen})
    running = sum(one.running for one in scene.seen)
    draft.looked.insert(
        0, f"the engine: {scene.stack}, {services} services, {running} of {len(scene.seen)} containers run."
    )
    if scene.named.files:
        draft.looked.insert(1, f"the Compose files: {', '.join(map(str, scene.named.files))}.")
    for front in scene.fronts:
        taken = scene.chosen is not None and front is scene.chosen[0]
        servers = len(front.proxied.servers)
        files = f"{len(front.configuration.files)} files, {servers} servers"
        if taken or front.own:
            draft.looked.insert(2, f"nginx: {front.configuration.how} ({files}).")
            draft.unseen += [f"nginx's configuration: {one}" for one in front.configuration.unread]
    draft.unseen[:0] = dict.fromkeys((*scene.named.unread, *scene.unseen))


def _steps(scene: Scene, draft: Draft, parts: Mapping[str, Guess]) -> None:
    of_it = next((one for one in scene.seen if one.service and one.service == parts["database"].service), None)
    create = f"CREATE ROLE {ROLE} LOGIN PASSWORD '%s'; GRANT pg_monitor TO {ROLE};"
    if of_it is not None:
        user = of_it.public.get("POSTGRES_USER", "postgres")
        name = of_it.public.get("POSTGRES_DB", user)
        config = f"-F {scene.sight.config} " if scene.sight.config else ""
        engine = f"ssh {config}{scene.sight.url} " if scene.elsewhere else ""
        commands: tuple[str, ...] = (
            f"(umask 077; openssl rand -hex 24 > @beside@{ROLE}.password)",
            f'printf "{create}\\n" "$(cat @beside@{ROLE}.password)" \\',
            f"    | {engine}docker exec -i {_container(scene, of_it)} psql -U {user} -d {name}",
        )
    else:
        commands = (create.replace("%s", "…"),)
    draft.steps.append(
        (
            "Let the checks look into the database, by a role that can change nothing:",
            commands,
        )
    )
    if asked := draft.questions:
        said = "a question is left open" if len(asked) == 1 else f"{len(asked)} questions are left open"
        names = ", ".join(one.name for one in asked)
        draft.steps.append((f"Read what follows; {said}: {names}.", ()))
    draft.steps.append((f"Look at it{_young(scene)}:", (".venv/bin/pytest -m daily --target @file@",)))


def _container(scene: Scene, one: Seen) -> str:
    """A container as the shell is told of it; a task's name changes with every task."""
    if scene.stack.kind == "compose":
        return one.name
    return f"$(docker ps -q --filter label=com.docker.swarm.service.name={one.name} | head -n 1)"


def _young(scene: Scene) -> str:
    """What can't be told yet, since the containers were made lately and their logs begin there."""
    made = max((one.created for one in scene.seen if one.running), default=0.0)
    age = timedelta(minutes=max(1, round((time.time() - made) / 60)))
    if not made or age > _LOG_NEEDED:
        return ""
    return f" (some containers were made {say_span(age)} ago: what needs hours of their logs can't tell yet)"
