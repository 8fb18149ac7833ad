"""A door to a lab's machine by SSH, as a real host has one: an sshd of its own on loopback, for an account of its own.

The account has exactly the rights of `docs/first-day.md`: its marked blocks are
what is executed. The lab's directories get the modes that they have on a real
host, so that each of those rights is needed. When the door is closed all of it
goes: the processes by their ids, the account, its ACLs, its lines for sudo. What a
door that was killed has left is cleared away by the next one, and by
:func:`clear`. Nothing of the machine's own sshd is touched; the empty directory
/run/sshd stays, which every sshd of Debian's wants.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lab.certificates import write_private
from lab.debian import ensure_installed
from lab.faults.targets import with_table
from lab.first_day import filled
from lab.progress import LabError, run
from lab.project import time_zone
from lab.turns import alone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lab.stack import Lab

RIGHTS = ("engine", "logs", "backups", "certificate", "project", "sudo")
"""The blocks of the document that give the account its rights, one each.

Besides there are `proxy` in place of `engine`, and `sudo_backups` in place of `backups`.
"""
PACKAGES = {"sshd": "openssh-server", "ssh": "openssh-client", "setfacl": "acl", "visudo": "sudo"}
SSHD = "/usr/sbin/sshd"
HAPROXY = "/usr/sbin/haproxy"
START_SECONDS = 10.0
END_SECONDS = 5.0
_SUDOERS = Path("/etc/sudoers.d")
_LINKS = Path("/run/operations-checks-labs")
_SYSTEM = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


@dataclass(frozen=True)
class Door:
    """A door that stands open.

    Attributes:
        lab: Whose machine it leads to.
        port: Its port on 127.0.0.1.
        process: The sshd that listens.
        sudo: The paths that are read by sudo, for `host.sudo`.
        proxy: What hands on what only reads to the engine; None where the account talks to the engine itself.
    """

    lab: Lab
    port: int
    process: subprocess.Popen[bytes]
    sudo: tuple[str, ...]
    proxy: subprocess.Popen[bytes] | None

    @property
    def account(self) -> str:
        """The account that it lets in."""
        return account_of(self.lab)

    @property
    def directory(self) -> Path:
        """Its keys, configurations and log."""
        return directory_of(self.lab)

    @property
    def alias(self) -> str:
        """The host's name in the configuration."""
        return f"{self.lab.name}-door"

    @property
    def url(self) -> str:
        """What `host.url` says."""
        return f"ssh://{self.alias}"

    @property
    def log(self) -> str:
        """What sshd has logged."""
        return (self.directory / "sshd.log").read_text(encoding="utf-8", errors="replace")

    def config(self, **changes: str) -> Path:
        """A configuration for ssh that leads through it.

        Args:
            changes: Options of ssh_config by their names, in place of the door's own or besides.
        """
        options = {
            "HostName": "127.0.0.1",
            "Port": str(self.port),
            "User": self.account,
            "IdentityFile": str(self.directory / "key"),
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": str(self.directory / "known_hosts"),
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            **changes,
        }
        text = "\n".join([f"Host {self.alias}", *(f"    {name} {value}" for name, value in options.items()), ""])
        if not changes:
            file = self.directory / "ssh_config"
            write_private(file, text.encode())
            return file
        number, name = tempfile.mkstemp(prefix="ssh_config.", dir=self.directory)
        os.write(number, text.encode())
        os.close(number)
        return Path(name)

    def target(self, base: Path | None = None, *tables: str, config: Path | None = None) -> Path:
        """A target file like another one, that looks at the lab through this door.

        Args:
            base: Like which; None for the lab's own. It must have no `[host]` of its own.
            tables: More tables as TOML; the keys of one that it has already are added to it.
            config: Another configuration for ssh than the door's.
        """
        text = (base or self.lab.target_file).read_text(encoding="utf-8")
        text = text.replace(f"{self.lab.directory}/", f"{_place(self.lab)}/")
        host = [
            "[host]",
            f"url = {json.dumps(self.url)}",
            f"ssh_config = {json.dumps(str(config or self.config()))}",
            f"zone = {json.dumps(time_zone())}",
            f"sudo = {json.dumps(list(self.sudo))}",
            "",
        ]
        services = f"[services]\nnames = {json.dumps(sorted(self.lab.wanted()))}\n"
        engine = (filled("proxied", _values(self.lab)),) if self.proxy is not None else ()
        for table in ("\n".join(host), services, *engine, *tables):
            text = with_table(text, table)
        number, name = tempfile.mkstemp(prefix="target.", suffix=".toml", dir=self.directory)
        os.write(number, text.encode())
        os.close(number)
        return Path(name)

    def sessions(self) -> set[int]:
        """The ids of all processes that its log-ins have: sshd's own for each, and what the account runs."""
        return {pid for pid in _processes(self.account) if pid != self.process.pid}


def account_of(lab: Lab) -> str:
    """The name of the lab's account."""
    return f"ops-{lab.name}"[:32]


def directory_of(lab: Lab) -> Path:
    """Where a door keeps its keys and configurations, and its account's home is."""
    return _place(lab) / "door"


def placed(lab: Lab, path: Path) -> Path:
    """A path of the lab as the account knows it: without a blank, which neither sudoers nor sshd's options take."""
    return _place(lab) / path.relative_to(lab.directory)


def _place(lab: Lab) -> Path:
    """The lab's directory; where a blank stands in its name, a link to it that has none."""
    if not re.search(r"\s", str(lab.directory)):
        return lab.directory
    link = _LINKS / lab.name
    if lab.directory.is_dir() and not link.is_symlink():
        _LINKS.mkdir(mode=0o755, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            link.symlink_to(lab.directory)
    return link


@contextmanager
def opened(lab: Lab, *, rights: Sequence[str] = RIGHTS) -> Iterator[Door]:
    """Have a door to a lab's machine for the length of a block.

    Args:
        lab: One that stands.
        rights: What the account may do, by the names of the document's blocks.

    Raises:
        LabError: This isn't root, what it needs can't be installed, or sshd doesn't come up.
    """
    if os.geteuid() != 0:
        raise LabError("a door by SSH makes an account and lets it in, for which one must be root")
    ensure_programs({**PACKAGES, **({"haproxy": "haproxy"} if "proxy" in rights else {})})
    clear(lab)
    directory_of(lab).mkdir(mode=0o755)
    door: Door | None = None
    try:
        _make_account(lab, proxied="proxy" in rights)
        _as_on_a_real_host(lab)
        for right in rights:
            if right != "proxy":
                grant(lab, right)
        door = _listening(lab, rights)
        yield door
    finally:
        clear(lab)
        if door is not None:
            door.process.poll()
            if door.proxy is not None:
                door.proxy.poll()


def ensure_programs(packages: Mapping[str, str]) -> None:
    """Have programs, installed by their Debian packages where they are missing, and nothing started.

    Args:
        packages: Programs, and the package of each.

    Raises:
        LabError: They can't be.
    """
    ensure_installed(
        lambda: [package for program, package in packages.items() if shutil.which(program, path=_SYSTEM) is None]
    )


def grant(lab: Lab, right: str) -> None:
    """Give the account one of the document's rights, or give it again after something was made anew.

    Args:
        lab: Whose account.
        right: The block's name.

    Raises:
        LabError: The document has no such block, or it can't be done as it is written there.
    """
    if right.startswith("sudo"):
        _grant_sudo(lab, right)
        return
    text = filled(right, _values(lab))
    _remember_paths(lab, text)
    with alone("rights"):
        run(["sh", "-e", "-c", text], env={**os.environ, "PATH": _SYSTEM})


def clear(lab: Lab) -> bool:
    """Take away all that a door of this lab has, or has left; what isn't there is no error.

    Returns:
        Whether there was anything.
    """
    there = directory_of(lab).exists()
    account = account_of(lab)
    _end(_processes(account) | _listeners(lab))
    for file in sudoers_of(lab):
        file.unlink(missing_ok=True)
    take_rights_back(lab)
    with contextlib.suppress(KeyError):
        pwd.getpwnam(account)
        there = True
        # Two at a time would find the list of accounts locked.
        with alone("rights"):
            run(["userdel", account], env={**os.environ, "PATH": _SYSTEM}, check=False)
    shutil.rmtree(directory_of(lab), ignore_errors=True)
    (_LINKS / lab.name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # another lab's may lie there
        _LINKS.rmdir()
    return there


# The account and its rights ----------------------------------------------------------------------------------------


def _values(lab: Lab) -> dict[str, str]:
    """What the document's own names stand for in this lab."""
    return {
        "operations-checks": account_of(lab),
        "/var/lib/operations-checks": str(_home(lab)),
        "docker operations-checks": f"{_engine_group()} {account_of(lab)}",
        "/var/run/docker.sock": str(engine_socket()),
        "/run/engine-read-only": str(directory_of(lab) / "engine-read-only"),
        "/srv/synk": str(placed(lab, lab.project_directory)),
        "/etc/letsencrypt": str(placed(lab, lab.certificates)),
        "/var/log/nginx": str(placed(lab, lab.nginx_logs)),
        "127.0.0.1:5432": f"127.0.0.1:{lab.database_port}",
    }


def _home(lab: Lab) -> Path:
    return directory_of(lab) / "home"


def engine_socket() -> Path:
    """The engine's socket on this machine.

    Raises:
        LabError: The engine is reached by another way.
    """
    parts = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
    if parts.scheme != "unix":
        raise LabError(
            f"the engine is reached by {parts.scheme}://, and an account on this machine has no right to that"
        )
    return Path(parts.path)


def _engine_group() -> str:
    seen = engine_socket().stat()
    if not seen.st_gid or not seen.st_mode & stat.S_IWGRP:
        raise LabError(f"{engine_socket()} belongs to no group that may use it, such as `docker`")
    return grp.getgrgid(seen.st_gid).gr_name


def _make_account(lab: Lab, *, proxied: bool) -> None:
    grant(lab, "account")
    key = directory_of(lab) / "key"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", account_of(lab), "-f", str(key)])
    public = key.with_name("key.pub").read_text(encoding="ascii").strip()
    values = _values(lab)
    if proxied:
        values["/var/run/docker.sock"] = f"{values['/run/engine-read-only']}/docker.sock"
    line = filled("key", {**values, "ssh-ed25519 AAAA… operations-checks": public})
    file = _home(lab) / ".ssh" / "authorized_keys"
    account = pwd.getpwnam(account_of(lab))
    write_private(file, line.encode())
    os.chown(file, account.pw_uid, account.pw_gid)
    let_through(lab)


def let_through(lab: Lab) -> None:
    """Give the account the way to the lab, and no more, where the checkout lies below somebody's home."""
    closed = [one for one in lab.directory.parents if not one.stat().st_mode & stat.S_IXOTH]
    _remember(lab, acls=[*_remembered(lab).get("acls", []), *map(str, closed)])
    for one in closed:
        run(["setfacl", "-m", f"u:{account_of(lab)}:x", str(one)])


def _as_on_a_real_host(lab: Lab) -> None:
    """Give directories the owner and mode that Debian, certbot and a careful operator give them."""
    adm = grp.getgrnam("adm").gr_gid
    wanted = {
        lab.nginx_logs: (adm, 0o750),
        lab.certificates / "live": (0, 0o700),
        lab.certificates / "archive": (0, 0o700),
        lab.backups: (0, 0o700),
        lab.project_directory: (0, 0o750),
    }
    _remember(
        lab, modes={str(path): (one.st_mode & 0o7777, one.st_uid, one.st_gid) for path, one in _described(wanted)}
    )
    for path, (group, mode) in wanted.items():
        os.chown(path, 0, group)
        path.chmod(mode)


def _described(paths: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    for path in paths:
        yield path, path.stat()


def _grant_sudo(lab: Lab, right: str) -> None:
    # Within its regular expressions a path's dots are escaped, and the account is no part of an alias' name.
    values = {name: value.replace(".", r"\.") if name == "/srv/synk" else value for name, value in _values(lab).items()}
    suffix = re.sub(r"[^A-Z0-9]", "_", lab.name.upper())
    text = filled(right, {**values, "OPERATIONS_CHECKS": f"OPERATIONS_CHECKS_{suffix}"})
    # The script that is run isn't named by an expression.
    text = text.replace(f"    {values['/srv/synk']}/", f"    {placed(lab, lab.project_directory)}/")
    aside = directory_of(lab) / right
    write_private(aside, text.encode())
    run(["visudo", "-cqf", str(aside)], env={**os.environ, "PATH": _SYSTEM})
    file = _SUDOERS / f"{account_of(lab)}-{right}"
    # sudo reads whatever lies there without a dot in its name, so it is put there whole.
    beside = file.with_name(f"{file.name}.new")
    write_private(beside, text.encode())
    beside.chmod(0o440)
    beside.replace(file)


def sudoers_of(lab: Lab) -> list[Path]:
    """The files with the account's lines for sudo."""
    return sorted(_SUDOERS.glob(f"{account_of(lab)}-sudo*")) if _SUDOERS.is_dir() else []


def _remember_paths(lab: Lab, text: str) -> None:
    """Remember which paths outside of the lab get an ACL, before they do."""
    words = [word for line in text.splitlines() if line.startswith("setfacl ") for word in line.split()[1:]]
    paths = [word for word in words if word.startswith("/") and not Path(word).resolve().is_relative_to(lab.directory)]
    if paths:
        _remember(lab, acls=[*_remembered(lab).get("acls", []), *paths])


def take_rights_back(lab: Lab) -> None:
    """Take the account's ACLs away, and give directories the modes and owners that they had."""
    remembered = _remembered(lab)
    account = account_of(lab)
    with alone("rights"):
        for path in remembered.get("acls", []):
            run(["setfacl", "-x", f"u:{account}", path], check=False)
            # Where nobody else is named the mask goes as well, and the mode is what it was.
            if not re.search(r"^(user|group):[^:]", run(["getfacl", "-cp", path], check=False).stdout, re.MULTILINE):
                run(["setfacl", "-b", path], check=False)
    if remembered:
        run(["setfacl", "-R", "-P", "-b", str(lab.project_directory), str(lab.certificates)], check=False)
    for path, (mode, user, group) in remembered.get("modes", {}).items():
        with contextlib.suppress(FileNotFoundError):
            os.chown(path, user, group)
            Path(path).chmod(mode)


def _remember(lab: Lab, **facts: object) -> None:
    write_private(directory_of(lab) / "before.json", json.dumps({**_remembered(lab), **facts}).encode())


def _remembered(lab: Lab) -> dict[str, Any]:
    try:
        known: dict[str, Any] = json.loads((directory_of(lab) / "before.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return known


# The sshd ----------------------------------------------------------------------------------------------------------


def _listening(lab: Lab, rights: Sequence[str]) -> Door:
    directory = directory_of(lab)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", lab.name, "-f", str(directory / "host_key")])
    port = _free_port()
    configuration = directory / "sshd_config"
    write_private(configuration, _configuration(lab, port).encode())
    public = (directory / "host_key.pub").read_text(encoding="ascii").split()
    (directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {public[0]} {public[1]}\n", encoding="ascii")
    with (directory / "sshd.log").open("wb") as log:
        process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _wait_for(port, process, directory / "sshd.log")
    project = placed(lab, lab.project_directory)
    paths = [str(project / name) for name in (".env.production", "pre-deployment-security-check.sh")]
    read_by_sudo = (
        *(paths if "sudo" in rights else ()),
        *([str(placed(lab, lab.backups))] if "sudo_backups" in rights else ()),
    )
    door = Door(lab, port, process, read_by_sudo, _proxy(lab) if "proxy" in rights else None)
    door.config()
    return door


def _proxy(lab: Lab) -> subprocess.Popen[bytes]:
    """What the document's unit starts: haproxy as its own user, with the account's group, and the engine's besides."""
    account, haproxy = pwd.getpwnam(account_of(lab)), pwd.getpwnam("haproxy")
    directory = Path(_values(lab)["/run/engine-read-only"])
    directory.mkdir(mode=0o750)
    os.chown(directory, haproxy.pw_uid, account.pw_gid)
    configuration = directory_of(lab) / "engine-read-only.cfg"
    configuration.write_text(filled("proxy", _values(lab)), encoding="utf-8")
    with (directory_of(lab) / "proxy.log").open("wb") as log:
        process = subprocess.Popen(
            [HAPROXY, "-db", "-f", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            user=haproxy.pw_uid,
            group=account.pw_gid,
            extra_groups=[engine_socket().stat().st_gid],
            umask=0o007,
        )
    deadline = time.monotonic() + START_SECONDS
    while not (directory / "docker.sock").exists():
        if time.monotonic() > deadline or process.poll() is not None:
            said = (directory_of(lab) / "proxy.log").read_text(encoding="utf-8", errors="replace")
            raise LabError(f"haproxy does not come up:\n{said[-2000:]}")
        time.sleep(0.05)
    return process


def _configuration(lab: Lab, port: int) -> str:
    """An sshd's that has nothing of the machine's own; what the document says of the account comes last."""
    return f"""# Written by the lab.
ListenAddress 127.0.0.1
Port {port}
HostKey {directory_of(lab) / "host_key"}
PidFile {directory_of(lab) / "sshd.pid"}
AllowUsers {account_of(lab)}
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
PubkeyAuthentication yes
AuthorizedKeysFile .ssh/authorized_keys
UsePAM no
LogLevel VERBOSE

{filled("sshd", _values(lab))}"""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
            if connection.recv(8).startswith(b"SSH-"):
                return
        time.sleep(0.05)
    said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise LabError(f"sshd does not let anybody in at 127.0.0.1:{port}:\n{said}")


# Processes ---------------------------------------------------------------------------------------------------------


def _processes(account: str) -> set[int]:
    """What runs for an account: its own processes, and sshd's that stand for its log-ins.

    A user's number may be that of somebody else's in a container: only what sees the processes that we see counts.
    """
    try:
        user = pwd.getpwnam(account).pw_uid
    except KeyError:
        return set()
    title = re.compile(rf"sshd: {re.escape(account)}(@| \[).*".encode(), re.DOTALL)
    here = _namespace(os.getpid())
    found = {pid for pid in _all() if _owner(pid) == user or title.match(_command(pid))}
    return {pid for pid in found if here is not None and _namespace(pid) == here}


def _namespace(pid: int) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return None


def _listeners(lab: Lab) -> set[int]:
    """A door's sshd that listens, and its proxy, by their configurations."""
    sshd, proxy = (str(directory_of(lab) / name).encode() for name in ("sshd_config", "engine-read-only.cfg"))
    said = {pid: _command(pid) for pid in _all()}
    return {
        pid
        for pid, command in said.items()
        if (sshd in command and command.startswith((b"sshd: ", SSHD.encode())))
        or (proxy in command and command.startswith(HAPROXY.encode()))
    }


def _all() -> list[int]:
    return [int(one.name) for one in Path("/proc").iterdir() if one.name.isdecimal() and int(one.name) != os.getpid()]


def _owner(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except FileNotFoundError:
        return None


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _end(processes: set[int]) -> None:
    """End processes by their ids; those that are children of this one are waited for."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        deadline = time.monotonic() + END_SECONDS
        while processes and time.monotonic() < deadline:
            for pid in processes:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            processes = {pid for pid in processes if _command(pid)}
            time.sleep(0.02)
