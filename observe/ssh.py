"""A host over SSH: one connection of OpenSSH's own, through which everything goes.

OpenSSH is used as it is installed, with the user's configuration, agent, jump
hosts and known hosts. One process, the master, holds the connection; commands,
files and forwarded sockets are channels in it. It asks nobody anything, and
never accepts a host that isn't known.

The master's session over there is a `cat` that reads from us: when this
process ends, however it ends, the `cat` does, and the connection, the forwarded
sockets and their directory go with it.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, cast
from urllib.parse import urlsplit

from observe.clock import seconds_here
from observe.deadline import Once, TimeIsUp, within
from observe.errors import CannotTell
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from observe.clock import Clock

CAUSE = "host"
TRANSPORT_FAILED = 255
_MARK = "operations-checks-here"
_HELLO = f"printf '%s %s\\n' {_MARK} \"$(date +%s%z)\"; exec cat >/dev/null"
"""Says that a command can be run there, and what the clock there says; then waits until we end."""

_MASTER = (
    *("-M", "-T", "-a", "-x", "-e", "none"),
    *("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=no"),
    # What a person's configuration does for a person's session has no place in ours.
    *("-o", "ControlPersist=no", "-o", "RemoteCommand=none", "-o", "PermitLocalCommand=no"),
    *("-o", "ForkAfterAuthentication=no", "-o", "StdinNull=no", "-o", "ClearAllForwardings=yes"),
    *("-o", "StreamLocalBindMask=0177", "-o", "StreamLocalBindUnlink=yes", "-o", "LogLevel=ERROR"),
)
_CHANNEL = (
    *("-F", "none", "-T", "-o", "BatchMode=yes", "-o", "ControlMaster=no", "-o", "LogLevel=ERROR"),
    # Without the master there is no other way: a connection of its own would be a second log-in, and unseen.
    *("-o", "ProxyCommand=false"),
)
_SKEW = timedelta(seconds=30)
"""A clock may be so far off ours: less moves no verdict, and a host that answers late looks like that."""
_MOST = 64 * 1024**2
"""No answer that is taken as a whole is longer."""
COMPLAINT = 4096

_EXPLAINED = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|host key for .* has changed",
        "its host key is another one than this user knows",
        "If it was made anew, compare the new key's fingerprint with the host's own and `ssh-keygen -R {name}`.",
    ),
    (
        r"Host key verification failed|No \S+ host key is known",
        "its host key isn't known to this user",
        "Log in once by hand as the user of this run, `{by_hand}`, and compare the fingerprint with the host's own.",
    ),
    (
        r"Permission denied \(",
        "it lets this user in by no key",
        "Put this user's public key into authorized_keys there, or load it into the agent; a passphrase isn't asked.",
    ),
    (r"Could not resolve hostname", "nobody knows its name", "Mend host.url, or name it in ssh's configuration."),
    (r"Connection refused", "nothing listens there", "Is sshd running there, and at that port? `{by_hand}`."),
    (r"No route to host|Network is unreachable", "there is no way to it", "See the network: `{by_hand}`."),
    (r"timed out|Connection timed out", "it doesn't answer", "See whether it is up: `{by_hand}`."),
    (r"Bad configuration option|terminating, \d+ bad", "ssh's configuration is wrong", "See `{by_hand} -G`."),
    (
        r"This account is currently not available|account has expired",
        "the account may not log in there",
        "Give the account there a shell.",
    ),
)


@dataclass(frozen=True)
class Hello:
    """What a host said when we came in.

    Attributes:
        offset: How far its clock is ahead of UTC.
        skew: How far its clock is ahead of ours, in seconds; the way there is part of it.
    """

    offset: timedelta
    skew: float

    def trouble(self, clock: Clock) -> str:
        """What is wrong with its clock, or with the zone that the settings give it; empty if nothing is."""
        wanted = clock.now().utcoffset() or timedelta(0)
        if clock.fixed is None and self.offset != wanted:
            return (
                f"the host's clock is {_ahead(self.offset)} UTC, and by host.zone ({clock.zone}) it would be "
                f"{_ahead(wanted)} UTC: set host.zone to the host's own, or days begin at the wrong time"
            )
        skew = timedelta(seconds=round(abs(self.skew)))
        which = "ahead of" if self.skew > 0 else "behind"
        said = f"the host's clock is {say_span(skew)} {which} this machine's: ages and windows are off by as much"
        return said if skew > _SKEW else ""


@dataclass(frozen=True)
class Answer:
    """How a command ended over there.

    Attributes:
        status: Its exit status.
        out: What it printed.
        complaint: What it printed on its standard error, bounded.
    """

    status: int
    out: bytes
    complaint: str


class Ssh:
    """A host's connection, opened on first use.

    Args:
        url: `ssh://user@name:port`, where the name may be one of ssh's configuration.
        seconds: Total time limit of the connecting and of each command, in seconds; a file has it for each
            read.
        config: A configuration for ssh instead of the user's own.
        compression: Whether what comes is compressed on the way.
        sudo: Paths that are read by `sudo -n`, and whatever lies below them.
    """

    def __init__(
        self,
        url: str,
        seconds: float,
        *,
        config: Path | None = None,
        compression: bool = True,
        sudo: Sequence[Path] = (),
    ) -> None:
        parts = urlsplit(url)
        self.url = url
        self.name = parts.netloc
        self._config = ("-F", str(config)) if config is not None else ()
        self._where = _destination(url)
        self.by_hand = shlex.join(["ssh", *self._config, *(one for one in self._where if one != "--")])
        self.seconds = seconds
        self._compression = "yes" if compression else "no"
        self._sudo = tuple(PurePosixPath(str(path)) for path in sudo)
        self._master: Once[_Master] = Once(self._open)
        self._lost: CannotTell | None = None
        self._running: set[subprocess.Popen[bytes]] = set()
        self._forwards: dict[str, str] = {}
        self._lock = threading.Lock()
        self._opening = threading.Lock()

    @property
    def opened(self) -> bool:
        """Whether the connection was made."""
        return self._master.made

    @property
    def hello(self) -> Hello:
        """What the host said of itself.

        Raises:
            CannotTell: If it can't be reached.
        """
        with self._opening:
            return self._master.get().hello

    def options(self) -> list[str]:
        """What `ssh` must be told to go through this connection and by no other way; the host's name comes after it.

        Raises:
            CannotTell: If the host can't be reached, or the connection was lost.
        """
        master = self._alive()
        return [*_CHANNEL, "-S", master.socket]

    def run(self, line: str, *, seconds: float | None = None, most: int = _MOST) -> Answer:
        """Have the shell there run a line that only reads.

        Args:
            line: The line; whoever makes it quotes what is in it.
            seconds: A total time limit; None for the host's own.
            most: So many bytes of its output are taken, and it is ended when there are more.

        Raises:
            CannotTell: If the host can't be reached, the connection is lost, or it doesn't end in time.
        """
        limit = self.seconds if seconds is None else seconds
        process = self.start(f"timeout -k 1 {limit:g} {line}")
        try:
            out, complaint = within(limit + 2, lambda: read_both(process, most))
            status = within(2, process.wait)
        except TimeIsUp:
            self.end(process)
            self._alive()
            raise CannotTell(
                f"the host {self.url} did not answer within {say_span(timedelta(seconds=limit))}",
                mend=f"See what holds it: `{self.by_hand}`, then `uptime` and `df`.",
                cause=CAUSE,
            ) from None
        finally:
            self.end(process)
        if status == TRANSPORT_FAILED:
            raise self.gone(complaint)
        return Answer(status, out, complaint)

    def start(self, line: str) -> subprocess.Popen[bytes]:
        """Start a line whose output is read as it comes; :meth:`end` must be called for what this returns.

        Raises:
            CannotTell: If the host can't be reached, or the connection was lost.
        """
        command = ["ssh", *self.options(), "-n", "--", "host", f"export LC_ALL=C; {line}"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        with self._lock:
            self._running.add(process)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """End what :meth:`start` has started, if it still runs; what runs over there loses its output and ends."""
        with self._lock:
            self._running.discard(process)
        with contextlib.suppress(OSError):
            process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def forward_socket(self, path: str) -> str:
        """A unix socket here that leads to one over there.

        Raises:
            CannotTell: If the host can't be reached, there is no such socket, or it may not be used or forwarded.
        """
        quoted = shlex.quote(path)
        answer = self.run(
            f"sh -c {shlex.quote(f'test -S {quoted} || exit 3; test -r {quoted} -a -w {quoted} || exit 4')}"
        )
        if answer.status == 3:
            raise CannotTell(
                f"there is no socket {path} on {self.name}",
                mend="Is the engine running there? `systemctl status docker`; otherwise set engine.url.",
                cause="engine",
            )
        if answer.status:
            raise CannotTell(
                f"the account on {self.name} may not use {path}",
                mend="Put it into the group of that socket (`docker`), or set engine.url to a socket proxy's.",
                cause="engine",
            )
        return self._forward(path, "engine")

    def forward_address(self, host: str, port: int) -> str:
        """A unix socket here that leads to an address as the host sees it.

        Raises:
            CannotTell: If the host can't be reached, or doesn't forward.
        """
        return self._forward(f"{_bracketed(host)}:{port}", "forwarding")

    def forward_port(self, host: str, port: int) -> int:
        """A port on this machine's loopback that leads to an address as the host sees it.

        Raises:
            CannotTell: As for :meth:`forward_address`.
        """
        there = f"{_bracketed(host)}:{port}"
        for _ in range(5):  # somebody may take the port between our look and ssh's
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                number = int(probe.getsockname()[1])
            said = self._ask_master("forward", f"127.0.0.1:{number}:{there}")
            if not said:
                return number
        raise _not_forwarded(self.name, there, said)

    def close(self) -> None:
        """End the connection and everything that goes through it."""
        with self._lock:
            running = list(self._running)
        for process in running:
            self.end(process)
        if self._master.made:
            self._master.get().end()
        self._lost = self._lost or CannotTell(f"the connection to {self.url} was closed", cause=CAUSE)

    def must_stand(self) -> None:
        """Insist that the connection stands, after something that goes through it has failed.

        Raises:
            CannotTell: If it was lost, or was never made.
        """
        command = ["ssh", *self.options(), "-O", "check", "host"]
        try:
            ended = subprocess.run(
                command, capture_output=True, stdin=subprocess.DEVNULL, timeout=self.seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise self.gone("") from None
        if ended.returncode:
            raise self.gone(self._master.get().complaint)

    def sudo(self, path: str) -> str:
        """`sudo -n ` where a path is to be read that way, else nothing."""
        place = PurePosixPath(os.path.normpath(path))
        return "sudo -n " if any(place.is_relative_to(one) for one in self._sudo) else ""

    # The master --------------------------------------------------------------------------------------------------

    def _open(self) -> _Master:
        if shutil.which("ssh") is None:
            raise CannotTell(
                "there is no ssh on this machine", mend="Install it: apt-get install openssh-client", cause=CAUSE
            )
        directory = _directory()
        path = f"{directory}/c"
        limit = max(1, int(self.seconds))
        command = [
            *("ssh", *self._config, *_MASTER, "-S", path, "-o", f"Compression={self._compression}"),
            # A connection that has died is noticed within the limit, whatever waits on it.
            *("-o", f"ConnectTimeout={limit}", "-o", f"ServerAliveInterval={max(1, limit // 3)}"),
            *("-o", "ServerAliveCountMax=3", *self._where, _HELLO),
        ]
        # The shell outlives a kill of this process and clears up: ssh ends when its input does.
        clear = 'directory=$1; shift; "$@"; status=$?; rm -rf -- "$directory"; exit $status'
        process = subprocess.Popen(
            ["/bin/sh", "-c", clear, "sh", directory, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            env={**os.environ, "SSH_ASKPASS_REQUIRE": "never"},
        )
        master = _Master(process, path)
        try:
            master.hello = within(self.seconds, lambda: _hello(process))
        except TimeIsUp:
            master.end()
            raise CannotTell(
                f"the host {self.url} did not let us in within {say_span(timedelta(seconds=self.seconds))}",
                mend=f"See whether `{self.by_hand}` comes in at once; give it longer by timeouts.host.",
                cause=CAUSE,
            ) from None
        except EOFError:
            # Its complaint ends when it does.
            with contextlib.suppress(TimeIsUp):
                within(2, master.listening.join)
            master.end()
            raise self._explained(master.complaint) from None
        return master

    def _alive(self) -> _Master:
        if self._lost is not None:
            raise self._lost.with_traceback(None)
        with self._opening:  # what looks beside the rest may come first
            master = self._master.get()
        if master.process.poll() is not None:
            raise self.gone(master.complaint)
        return master

    def gone(self, complaint: str) -> CannotTell:
        """What is to be said when a command's transport failed: nothing is asked of this host again in this run."""
        if self._lost is None:
            said = f" ({complaint})" if complaint else ""
            self._lost = CannotTell(
                f"the connection to {self.url} was lost{said[:200]}",
                mend=f"See whether the host is up and its sshd lets us stay: `{self.by_hand}`.",
                cause=CAUSE,
            )
        return self._lost

    def _explained(self, complaint: str) -> CannotTell:
        unknown = (complaint or "it says nothing", "Try it by hand as the user of this run: `{by_hand} true`.")
        known = ((why, mend) for pattern, why, mend in _EXPLAINED if re.search(pattern, complaint))
        why, mend = next(known, unknown)
        return CannotTell(
            f"the host {self.url} can't be reached: {why[:300]}",
            mend=mend.format(name=self.name, by_hand=self.by_hand),
            cause=CAUSE,
        )

    def _forward(self, there: str, what: str) -> str:
        with self._lock:
            if there in self._forwards:
                return self._forwards[there]
            here = f"{Path(self._alive().socket).parent}/f{len(self._forwards)}"
            if said := self._ask_master("forward", f"{here}:{there}"):
                raise _not_forwarded(self.name, there, said, what)
            self._forwards[there] = here
            return here

    def _ask_master(self, what: str, forward: str) -> str:
        """Have the master forward something; what it says against that, empty if nothing."""
        command = ["ssh", *self.options(), "-O", what, "-L", forward, "host"]
        try:
            ended = subprocess.run(
                command, capture_output=True, stdin=subprocess.DEVNULL, timeout=self.seconds, check=False
            )
        except subprocess.TimeoutExpired:
            return "it did not answer in time"
        return "" if ended.returncode == 0 else " ".join(ended.stderr.decode(errors="replace").split())[:300] or "no"


class _Master:
    """The process that holds the connection."""

    def __init__(self, process: subprocess.Popen[bytes], path: str) -> None:
        self.process = process
        self.socket = path
        self.hello = Hello(timedelta(0), 0.0)
        self._complaint = bytearray()
        self.listening = threading.Thread(target=self._listen, name="ssh: complaints", daemon=True)
        self.listening.start()

    @property
    def complaint(self) -> str:
        """What ssh has said against it."""
        lines = self._complaint.decode(errors="replace").splitlines()
        return " ".join(line.strip("@ ") for line in lines if line.strip("@ "))[:1000]

    def _listen(self) -> None:
        stream = cast("IO[bytes]", self.process.stderr)
        with contextlib.suppress(OSError, ValueError):
            while block := stream.read(4096):
                self._complaint += block[: COMPLAINT - len(self._complaint)]

    def end(self) -> None:
        """End it: its input ends, and if that isn't enough, its processes."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        for how in (None, signal.SIGTERM, signal.SIGKILL):
            if how is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.process.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
                break
        shutil.rmtree(Path(self.socket).parent, ignore_errors=True)


def _ahead(offset: timedelta) -> str:
    return f"{say_span(abs(offset))} {'behind' if offset < timedelta(0) else 'ahead of'}" if offset else "on"


def _destination(url: str) -> list[str]:
    """How ssh is told where to go: by options, so that a name of its configuration stays one."""
    parts = urlsplit(url)
    user, _, name = parts.netloc.rpartition("@")
    options: list[str] = []
    if user:
        options += ["-l", user]
    if parts.port is not None:
        options += ["-p", str(parts.port)]
        name = name.rpartition(":")[0]
    return [*options, "--", name.strip("[]")]


def _directory() -> str:
    """A directory for the sockets, for this user alone, with a name short enough for sockets in it."""
    for place in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):  # noqa: S108  mkdtemp's own
        # A socket's name has at most 107 bytes, and ssh makes its own with 17 more at first.
        if place and len(place) < 60 and os.access(place, os.W_OK):
            return tempfile.mkdtemp(prefix="ops-checks-", dir=place)
    return tempfile.mkdtemp(prefix="ops-checks-")


def _hello(process: subprocess.Popen[bytes]) -> Hello:
    """Wait until the host says that a command can be run there; what its shell says before is passed over.

    Raises:
        EOFError: If the connection ends first.
    """
    out, line = cast("IO[bytes]", process.stdout), b""
    while byte := out.read(1):
        line = line[-200:] + byte
        if byte == b"\n":
            if found := re.search(rf"{_MARK} (\d+)([+-])(\d\d)(\d\d)\n".encode(), line):
                offset = timedelta(hours=int(found[3]), minutes=int(found[4]))
                return Hello(offset if found[2] == b"+" else -offset, int(found[1]) - seconds_here())
            line = b""
    raise EOFError


def read_both(process: subprocess.Popen[bytes], most: int) -> tuple[bytes, str]:
    """What a process prints, to its end; both streams are read, so that neither holds it up."""
    out, complaint = bytearray(), bytearray()
    with selectors.DefaultSelector() as waiting:
        waiting.register(cast("IO[bytes]", process.stdout), selectors.EVENT_READ, out)
        waiting.register(cast("IO[bytes]", process.stderr), selectors.EVENT_READ, complaint)
        while waiting.get_map():
            for key, _ in waiting.select():
                block = os.read(key.fd, 65536)
                if not block:
                    waiting.unregister(key.fileobj)
                key.data.extend(block if key.data is out else block[: COMPLAINT - len(complaint)])
            if len(out) > most:
                process.kill()
                break
    return bytes(out), text_of(bytes(complaint))


def text_of(complaint: bytes) -> str:
    """What a command complained of, in one line and bounded."""
    return " ".join(complaint.decode(errors="replace").split())[:1000]


def refused_by_sudo(path: str, complaint: str) -> CannotTell:
    """What is to be said when `sudo -n` didn't let something through."""
    return CannotTell(
        f"sudo refuses to read {path} there: {text_of(complaint.encode())[:200]}",
        mend="Give the account the lines for sudoers of docs/first-day.md, or take the path out of host.sudo.",
        cause=CAUSE,
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _not_forwarded(name: str, there: str, said: str, what: str = "forwarding") -> CannotTell:
    return CannotTell(
        f"{name} does not forward to {there}: {said}",
        mend="Let sshd there forward for this account (AllowTcpForwarding, AllowStreamLocalForwarding).",
        cause=CAUSE if what == "forwarding" else what,
    )
