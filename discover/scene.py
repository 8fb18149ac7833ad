"""What is looked at in one run of the discovery, each thing when it is first asked for."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from discover import nginx_files, proxy, stacks
from discover.requests_asked import Asked, asked_lately
from discover.services_named import Named, services_named
from discover.sight import zone_of
from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from discover.proxy import Log, Server
    from discover.sight import Sight
    from discover.stacks import Seen, Stack
    from observe.engine import Engine

_STREAMS = ("/dev/stdout", "/dev/stderr", "/proc/self/fd/1", "/proc/self/fd/2", "stderr", "syslog:", "memory:", "off")
_LOOSE = ("/app", "/code", "/usr/src/app", "/srv/app")
"""Where an application lies whose container begins elsewhere."""


@dataclass(frozen=True)
class Front:
    """An nginx that may stand before the stack.

    Attributes:
        configuration: Its configuration.
        proxied: What that says.
        container: The container that it runs in; None for the host itself.
        own: Whether that container is of the stack.
    """

    configuration: nginx_files.Configuration
    proxied: proxy.Proxied
    container: Seen | None
    own: bool

    @property
    def inside(self) -> str:
        """The container's name; empty for the host itself."""
        return self.container.name if self.container else ""


@dataclass
class Scene:
    """A stack, and where it stands.

    Attributes:
        engine: The engine that it runs on.
        sight: The host that it runs on.
        stack: The stack.
        domain: The site's name, where somebody gave it.
        unseen: What couldn't be looked at, and why; it grows.
    """

    engine: Engine
    sight: Sight
    stack: Stack
    domain: str = ""
    unseen: list[str] = field(default_factory=list)
    _manage: dict[str, str] = field(default_factory=dict)

    @property
    def elsewhere(self) -> bool:
        """Whether the host is another machine."""
        return self.sight.url != "local://"

    @cached_property
    def seen(self) -> tuple[Seen, ...]:
        """The stack's containers.

        Raises:
            CannotTell: If the engine can't be asked.
        """
        return stacks.look_at(self.engine, self.stack)

    @cached_property
    def zone(self) -> str:
        """The host's time zone; empty where it can't be told."""
        return zone_of(self.sight)

    @cached_property
    def directory(self) -> str:
        """The project's directory, if it is there; else the one that it was moved to, or nothing."""
        wanted = self.stack.directory
        if not wanted or self.is_directory(wanted):
            return wanted
        return self._moved_to()

    def is_directory(self, path: str) -> bool:
        """Whether a directory is there; one that this user can't see is taken for being there, and that is said."""
        try:
            return self.sight.path(path).is_dir()
        except OSError as error:
            self.unseen.append(f"{path}: {error.strerror or error}")
            return True

    def _moved_to(self) -> str:
        """A directory near the one that is gone, whose Compose file names the same services."""
        from discover.dumps import directories_below

        above = posixpath.dirname(self.stack.directory)
        while above not in {"", "/"} and not self.is_directory(above):
            above = posixpath.dirname(above)
        for one in directories_below(self.sight, above, 2):
            named = services_named(self.sight.path(one))
            if named.files and self.stack.services and set(self.stack.services) <= set(named.names):
                return one
        return ""

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The Compose files by the label that still lie there, where they are not those that Compose would take."""
        here = [self.sight.path(one) for one in self.stack.files]
        if self.directory != self.stack.directory:
            here = [
                self.sight.path(posixpath.join(self.directory, posixpath.basename(one))) for one in self.stack.files
            ]
        return tuple(here)

    @cached_property
    def named(self) -> Named:
        """What the Compose files say."""
        if not self.directory:
            return Named(unread=("the project's directory isn't known",))
        return services_named(self.sight.path(self.directory), self.files)

    @cached_property
    def fronts(self) -> tuple[Front, ...]:
        """The nginx that may stand before the stack: its own first, then the host's, then other containers'."""
        found = list(self._of_containers(self.seen, own=True))
        if not any(one.tls for front in found for one in front.proxied.servers):
            try:
                of_host = nginx_files.of_host(self.sight)
                self.unseen += [why for one in of_host if not one.main for why in one.unread]
                found += [Front(one, proxy.read_servers(one), None, own=False) for one in of_host if one.main]
            except CannotTell as told:
                self.unseen.append(told.what)
        if not any(self.passes_here(front, one) and one.tls for front in found for one in front.proxied.servers):
            found += self._of_containers(stacks.others(self.engine, self.stack), own=False)
        return tuple(found)

    def _of_containers(self, seen: tuple[Seen, ...], *, own: bool) -> Iterator[Front]:
        for one in seen:
            if one.id and {"nginx", "openresty"} & (one.processes | one.programs):
                try:
                    configuration = nginx_files.of_container(self.engine, one)
                except CannotTell as told:
                    if own:
                        self.unseen.append(told.what)
                    continue
                yield Front(configuration, proxy.read_servers(configuration), one, own)

    def passes_here(self, front: Front, server: Server) -> bool:
        """Whether a server passes anything on to the stack."""
        return any(self.service_behind(front, target) for one in server.locations for target in one.passes)

    def service_behind(self, front: Front, target: str) -> str:
        """The stack's service that a target is; empty for none."""
        return proxy.service_of(target, self.seen, front.container)

    @cached_property
    def chosen(self) -> tuple[Front, Server] | None:
        """The server that the site is served by; None where there is none."""
        ranked = [
            (self._weight(front, server), -number, front, server)
            for number, (front, server) in enumerate(
                (front, one) for front in self.fronts for one in front.proxied.servers
            )
        ]
        best = max(ranked, key=lambda one: one[:2], default=None)
        return best[2:] if best is not None and best[0] >= 4 else None

    def _weight(self, front: Front, server: Server) -> int:
        weight = 4 * bool(server.tls) + 2 * bool(server.names) if front.own else 0
        if self.passes_here(front, server):
            weight = 8 + 4 * bool(server.tls) + 2 * bool(server.names)
        return weight + 16 * (bool(self.domain) and self.domain in server.names)

    def on_host(self, front: Front, path: str) -> str:
        """Where a path of a front lies on the host; empty where it lies in no mount."""
        return path if front.container is None else front.container.source_of(path)

    def log_file(self, front: Front, log: Log) -> tuple[str, str]:
        """Where a log lies on the host, or else why it can't be read as a file."""
        if log.path.startswith(_STREAMS):
            return "", f"nginx writes it to {log.path} ({log.where})"
        if "$" in log.path:
            return "", f"its name varies: {log.path} ({log.where})"
        if not log.path.startswith("/"):
            return "", f"{log.path} is relative to a directory that isn't known ({log.where})"
        source = self.on_host(front, log.path)
        if front.container is not None:
            link = nginx_files.OfContainer(self.engine, front.container).link(log.path)
            if link and link.startswith(_STREAMS):
                return "", f"{log.path} is a link to {link} in {front.inside}"
            if not source:
                return "", f"{log.path} lies in the container {front.inside} alone, in no mount"
        return source, ""

    def manage(self, one: Seen) -> str:
        """Where Django's manage.py lies in a container; empty for nowhere."""
        if one.id not in self._manage:
            self._manage[one.id] = self._look_for_manage(one) if one.id else ""
        return self._manage[one.id]

    def _look_for_manage(self, one: Seen) -> str:
        files = nginx_files.OfContainer(self.engine, one)
        for place in dict.fromkeys((one.working_directory, *_LOOSE)):
            path = posixpath.join(place, "manage.py")
            if files.link(path) is not None:
                return path
        return ""

    @cached_property
    def asked(self) -> Asked:
        """What clients ask for, by the end of the access log; nothing where it can't be read."""
        if self.chosen is None:
            return Asked()
        front, server = self.chosen
        for log in server.access:
            path, _ = self.log_file(front, log)
            if path:
                try:
                    return asked_lately(self.sight.path(path))
                except OSError as error:
                    self.unseen.append(f"{path}: {error.strerror or error}")
        return Asked()
