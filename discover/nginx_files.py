"""nginx's configuration as it lies on the disk: read file by file, its includes followed, and parsed by crossplane.

`nginx -T` prints the same files. It opens the log files and the pid file that
they name as well, and makes those that aren't there: so it is asked only where
the files themselves can't be read, and with the very options that the running
master was started with, which has long made them.
"""

from __future__ import annotations

import base64
import fnmatch
import io
import json
import posixpath
import re
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from discover.sight import MOST, known, read
from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import docker

    from discover.sight import Sight
    from discover.stacks import Seen
    from observe.engine import Engine

PLACES = (
    "/etc/nginx/nginx.conf",
    "/usr/local/nginx/conf/nginx.conf",
    "/usr/local/openresty/nginx/conf/nginx.conf",
    "/opt/bitnami/nginx/conf/nginx.conf",
    "/usr/local/etc/nginx/nginx.conf",
)
"""Where the usual builds have it."""
_MASTER = re.compile(r"nginx: master process\s+(.*)", re.DOTALL)
_CONTAINER = re.compile(r"[0-9a-f]{64}")
_SECTION = re.compile(r"^# configuration file (.+):\n", re.MULTILINE)
_DEEPEST = 16
_GO_SYMLINK = 1 << 27
"""What Go, and so the engine, marks a link by among a file's mode bits."""
_MOST_FILES = 1000


@dataclass(frozen=True)
class Directive:
    """One directive.

    Attributes:
        name: Its name.
        args: Its arguments, without their quotes.
        block: What stands in its braces; None where it has none.
        file: The file that it stands in.
        line: In which line.
    """

    name: str
    args: tuple[str, ...]
    block: tuple[Directive, ...] | None
    file: str
    line: int


@dataclass(frozen=True)
class Configuration:
    """A configuration that was read.

    Attributes:
        main: The directives of the main file, with what it includes in their place.
        files: The files that were read.
        unread: What couldn't be read or made sense of, and why.
        how: How it was read, for the reader.
        prefix: What relative paths of logs are relative to; empty where that isn't known.
        default_log: Where requests are logged if no directive says so; empty where that isn't known.
    """

    main: tuple[Directive, ...]
    files: tuple[str, ...]
    unread: tuple[str, ...]
    how: str
    prefix: str = ""
    default_log: str = ""


class Files(Protocol):
    """Where a configuration lies."""

    def text(self, path: str) -> str:
        """A file's text; OSError if it can't be read."""

    def names(self, directory: str) -> Sequence[str]:
        """The names that a directory has; OSError if it can't be listed."""


class OfHost:
    """The files of a host."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight

    def text(self, path: str) -> str:
        """A file's text; OSError if it can't be read."""
        return read(self._sight.path(path)).decode("utf-8", errors="replace")

    def names(self, directory: str) -> Sequence[str]:
        """The names that a directory has; OSError if it can't be listed."""
        return [name for name, _ in self._sight.listed(directory)]


class OfContainer:
    """The files of a container, as the engine hands them out: nothing is executed in it."""

    def __init__(self, engine: Engine, container: Seen) -> None:
        self._engine = engine
        self._container = container
        self._held: dict[str, str] = {}

    def text(self, path: str) -> str:
        """A file's text; OSError if it can't be read."""
        for _ in range(_DEEPEST):
            if path in self._held:
                return self._held[path]
            with self._archive(path) as archive:
                entry = next(iter(archive), None)
                if entry is None or entry.isdir():
                    raise IsADirectoryError(21, "it is a directory")
                if not entry.issym():
                    return _text(archive, entry)
                path = posixpath.normpath(posixpath.join(posixpath.dirname(path), entry.linkname))
        raise OSError(40, "its links lead nowhere")

    def names(self, directory: str) -> Sequence[str]:
        """The names that a directory has; OSError if it can't be listed."""
        found = []
        with self._archive(directory.rstrip("/") + "/.") as archive:
            for entry in archive:
                name = posixpath.normpath(entry.name)
                if "/" in name or name in {".", ".."}:
                    continue
                found.append(name)
                if entry.isfile() and entry.size <= MOST:
                    self._held[posixpath.join(directory, name)] = _text(archive, entry)
        return sorted(found)

    def link(self, path: str) -> str | None:
        """Where a link leads to; empty for what is none, None for what isn't there or can't be asked for."""

        def question(client: docker.DockerClient) -> int | None:
            api = client.api
            url = f"{api.base_url}/v{api.api_version}/containers/{self._container.id}/archive"
            with api.head(url, params={"path": path}) as answer:
                said = answer.headers.get("X-Docker-Container-Path-Stat", "")
                return int(json.loads(base64.b64decode(said))["mode"]) if answer.status_code == 200 and said else None

        try:
            mode = self._engine.ask(f"describe a file of {self._container.name}", question)
        except CannotTell:
            return None
        if mode is None or not mode & _GO_SYMLINK:
            return None if mode is None else ""
        # The engine would say where it leads to at last, which of /dev/stdout is somewhere else for everybody.
        try:
            with self._archive(path) as archive:
                entry = next(iter(archive), None)
                return entry.linkname if entry is not None and entry.issym() else ""
        except OSError:
            return None

    def _archive(self, path: str) -> tarfile.TarFile:
        def question(client: docker.DockerClient) -> bytes | None:
            from docker.errors import APIError

            try:
                stream, _ = client.api.get_archive(self._container.id, path, chunk_size=65536)
            except APIError as error:
                if error.status_code == 404:
                    return None
                raise
            held = bytearray()
            for block in stream:
                held += block
                if len(held) > MOST:
                    stream.close()
                    raise CannotTell(f"{path} in {self._container.name} is larger than is looked at here")
            return bytes(held)

        try:
            content = self._engine.ask(f"hand out {path} of {self._container.name}", question)
        except CannotTell as told:
            # A proxy of the socket may not let this through; then there may be another way.
            raise OSError(0, told.what) from None
        if content is None:
            raise FileNotFoundError(2, "there is no such file")
        return tarfile.open(fileobj=io.BytesIO(content))


def _text(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    file = archive.extractfile(entry)
    if file is None:
        raise OSError(0, "it is no regular file")
    return file.read(MOST).decode("utf-8", errors="replace")


@dataclass
class _Printed:
    """The files as `nginx -T` has printed them."""

    files: Mapping[str, str] = field(repr=False)

    def text(self, path: str) -> str:
        if path not in self.files:
            raise FileNotFoundError(2, "nginx -T has not printed it")
        return self.files[path]

    def names(self, directory: str) -> Sequence[str]:
        return sorted(posixpath.basename(one) for one in self.files if posixpath.dirname(one) == directory)


def of_container(engine: Engine, container: Seen) -> Configuration:
    """The configuration of the nginx in a container.

    Raises:
        CannotTell: If it can't be read in any way.
    """

    def question(client: docker.DockerClient) -> list[str]:
        from docker.errors import APIError

        try:
            listed = client.api.top(container.id, ps_args="-eo pid,args").get("Processes") or []
        except APIError:
            return []
        return [str(one[-1]) for one in listed]

    lines = engine.ask(f"list the processes of {container.name}", question) if container.running else []
    options = next((said for line in lines if (said := _options(line)) is not None), {})
    files = OfContainer(engine, container)
    how = f"the files in the container {container.name}"
    for place in [options["-c"]] if "-c" in options else PLACES:
        found = _followed(files, place, how, options.get("-p", ""))
        if found.main:
            return found
    return _of_printed(_dump_inside(engine, container, options), f"`nginx -T` in the container {container.name}")


def of_host(sight: Sight) -> tuple[Configuration, ...]:
    """The configuration of every nginx that runs on a host, in no container; one that can't be read has no directives.

    Raises:
        CannotTell: If its processes can't be listed.
    """
    found = []
    for number, line in _processes(sight):
        options = _options(line)
        if options is None or _in_container(sight, number):
            continue
        try:
            found.append(_of_master(sight, options))
        except CannotTell as told:
            found.append(Configuration((), (), (told.what,), f"nginx on {sight.where}"))
    return tuple(found)


def _of_master(sight: Sight, options: Mapping[str, str]) -> Configuration:
    """The configuration of the nginx that was started in a certain way."""
    built = _built(sight, options["nginx"])
    prefix = options.get("-p") or built.get("prefix", "")
    main = posixpath.join(prefix, options.get("-c") or built.get("conf-path") or PLACES[0])
    held = _followed(OfHost(sight), main, f"nginx's files on {sight.where}", prefix)
    if not held.main:
        words = [options["nginx"], "-T"]
        words += [word for name in ("-p", "-c") if name in options for word in (name, options[name])]
        held = _of_printed(_dump_here(sight, words, held.unread), f"`nginx -T` on {sight.where}")
    default = built.get("http-log-path", "")
    return Configuration(held.main, held.files, held.unread, held.how, prefix, default)


def _processes(sight: Sight) -> Iterator[tuple[int, str]]:
    try:
        ran = sight.run("ps", "-ww", "-eo", "pid=,args=")
        listed = [line.strip().partition(" ") for line in ran.out.splitlines()]
        yield from ((int(number), words) for number, _, words in listed if number.isdigit())
    except CannotTell:
        try:
            for name, _ in sight.listed("/proc"):
                if name.isdigit():
                    yield int(name), _command_line(sight, name)
        except OSError as error:
            raise CannotTell(f"the processes of {sight.where} can't be listed: {error.strerror}") from None


def _command_line(sight: Sight, number: str) -> str:
    try:
        return read(sight.path(f"/proc/{number}/cmdline"), 65536).replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""  # it has ended meanwhile


def _in_container(sight: Sight, number: int) -> bool:
    """Whether a process belongs to a container, which the engine is asked of."""
    try:
        return _CONTAINER.search(read(sight.path(f"/proc/{number}/cgroup"), 65536).decode(errors="replace")) is not None
    except OSError:
        return False


def _options(line: str) -> dict[str, str] | None:
    """How a master was started: `nginx`, `-c` and `-p` by their names; None for another process."""
    match = _MASTER.match(line)
    if match is None:
        return None
    # nginx writes its words there with blanks between them: a value that has one itself goes on to the next option.
    nginx, *given = re.split(r"\s+-(?=[cpegqsvVtT](?:\s|$|/))", match[1].strip().replace('"', ""))
    found = {"nginx": nginx or "nginx"}
    for one in given:
        if one[0] in "cp" and (value := one[1:].strip()):
            found[f"-{one[0]}"] = value
    return found


def _built(sight: Sight, nginx: str) -> Mapping[str, str]:
    """What `nginx -V` says of the paths that it was built with; empty if it can't be asked."""
    if not known((nginx, "-V")):
        return {}
    try:
        ran = sight.run(nginx, "-V")
    except CannotTell:
        return {}
    return dict(re.findall(r"--(prefix|conf-path|http-log-path|error-log-path)=(\S+)", ran.complaint + ran.out))


def _dump_here(sight: Sight, words: Sequence[str], unread: Sequence[str]) -> str:
    why = "; ".join(unread)
    if not known(words):
        raise CannotTell(f"the configuration of nginx on {sight.where} can't be read: {why}")
    try:
        ran = sight.run(*words)
    except CannotTell as told:
        raise CannotTell(f"the configuration of nginx on {sight.where} can't be read: {why}; {told.what}") from None
    if ran.status != 0:
        said = " ".join(ran.complaint.split())[:200]
        raise CannotTell(
            f"the configuration of nginx on {sight.where} can't be read: {why}; nor by `nginx -T`: {said}",
            mend="Let this user read it, or run this once as a user who may.",
        )
    return ran.out


def _dump_inside(engine: Engine, container: Seen, options: Mapping[str, str]) -> str:
    words = ["nginx", "-T"]
    words += [word for name in ("-p", "-c") if name in options for word in (name, options[name])]
    if not known(words) or not container.running:
        raise CannotTell(f"the configuration of nginx in {container.name} can't be read: it doesn't run")

    def question(client: docker.DockerClient) -> tuple[int, bytes, bytes]:
        api = client.api
        made = api.exec_create(container.id, ["timeout", "-k", "1", "5", *words], stdin=False, tty=False)["Id"]
        out, complaint = api.exec_start(made, demux=True, tty=False)
        return api.exec_inspect(made)["ExitCode"], out or b"", complaint or b""

    status, out, complaint = engine.ask(f"run nginx -T in {container.name}", question)
    if status != 0:
        said = " ".join((complaint or out).decode(errors="replace").split())[:200]
        raise CannotTell(f"the configuration of nginx in {container.name} can't be read, nor by `nginx -T`: {said}")
    return out[:MOST].decode("utf-8", errors="replace")


def _of_printed(text: str, how: str) -> Configuration:
    parts = _SECTION.split(text)
    files = dict(zip(parts[1::2], parts[2::2], strict=False))
    if not files:
        raise CannotTell("`nginx -T` has printed no configuration")
    return _followed(_Printed(files), next(iter(files)), how, "")


def _followed(files: Files, main: str, how: str, prefix: str) -> Configuration:
    """A configuration from its main file on."""
    reader = _Following(files, posixpath.dirname(main))
    directives = reader.file(main, ())
    return Configuration(directives, tuple(reader.read), tuple(reader.unread), how, prefix)


class _Following:
    """Reads files and puts what they include in the place of the word that includes it."""

    def __init__(self, files: Files, directory: str) -> None:
        self._files = files
        self._directory = directory
        self._parsed: dict[str, list[Any]] = {}
        self.read: list[str] = []
        self.unread: list[str] = []

    def file(self, path: str, above: tuple[str, ...]) -> tuple[Directive, ...]:
        """The directives of a file."""
        if path in above or len(above) >= _DEEPEST or len(self.read) >= _MOST_FILES:
            self.unread.append(f"{path} includes itself, or there are too many files")
            return ()
        if path not in self._parsed:
            self._parsed[path] = []
            try:
                text = self._files.text(path)
            except OSError as error:
                self.unread.append(f"{path}: {error.strerror or error}")
            else:
                self.read.append(path)
                self._parsed[path] = _parsed(path, text, self.unread.append)
        return tuple(self._directives(self._parsed[path], path, (*above, path)))

    def _directives(self, parsed: list[Any], file: str, above: tuple[str, ...]) -> Iterator[Directive]:
        for one in parsed:
            name, args = str(one["directive"]), tuple(map(str, one["args"]))
            if name == "include" and args:
                for path in self._included(posixpath.join(self._directory, args[0])):
                    yield from self.file(path, above)
                continue
            inside = tuple(self._directives(one["block"], file, above)) if "block" in one else None
            yield Directive(name, args, inside, file, int(one["line"]))

    def _included(self, pattern: str) -> list[str]:
        directory, name = posixpath.split(posixpath.normpath(pattern))
        if not re.search(r"[*?\[]", pattern):
            return [posixpath.join(directory, name)]
        if re.search(r"[*?\[]", directory):
            self.unread.append(f"include {pattern}: a pattern of directories is not followed here")
            return []
        try:
            names = self._files.names(directory)
        except OSError as error:
            self.unread.append(f"include {pattern}: {error.strerror or error}")
            return []
        return [posixpath.join(directory, one) for one in names if fnmatch.fnmatchcase(one, name)]


def _parsed(path: str, text: str, complain: Callable[[str], None]) -> list[Any]:
    try:
        import crossplane
    except ImportError:
        raise CannotTell(
            "nginx's configuration can't be read: the package nginx-crossplane is not installed", mend="make venv"
        ) from None
    # Whether a directive may stand where it does is nginx's business; modules bring directives of their own.
    payload = crossplane.parse_string(text, filename=path, single=True, check_ctx=False, check_args=False)
    for error in payload["errors"]:
        complain(f"{path}, line {error['line']}: {error['error']}")
    parsed: list[Any] = payload["config"][0]["parsed"]
    return parsed
