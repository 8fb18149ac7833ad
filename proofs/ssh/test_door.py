"""The lab's door: what it makes is gone when it is closed, also when it was never closed."""

from __future__ import annotations

import pwd
import re
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab import first_day, ssh_door
from lab.faults.fault import eventually
from lab.progress import LabError
from lab.stack import Lab

if TYPE_CHECKING:
    from lab.ssh_door import Door


def standing(lab: Lab) -> dict[str, str]:
    """The modes, owners and ACLs of everything that a door touches."""
    paths = [lab.project_directory, lab.backups, lab.nginx_logs, *lab.certificates.rglob("*")]
    said = subprocess.run(["getfacl", "-p", *map(str, paths)], capture_output=True, text=True, check=True).stdout
    modes = {str(path): f"{path.stat().st_mode:o} {path.stat().st_uid} {path.stat().st_gid}" for path in paths}
    return {"acls": said, **modes}


def inside(door: Door, line: str) -> str:
    """What the account says to a line."""
    command = ["ssh", "-F", str(door.config()), "-n", door.alias, line]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout


def test_what_it_makes_is_gone_afterwards(lab: Lab) -> None:
    before = standing(lab)
    with ssh_door.opened(lab) as door:
        assert inside(door, "id -un").strip() == door.account
        assert standing(lab) != before
        pid = door.process.pid
    assert standing(lab) == before
    assert nothing_of(lab, pid)


def test_what_a_killed_one_has_left_is_cleared_away(lab: Lab) -> None:
    before = standing(lab)
    left = ssh_door.opened(lab)
    door = left.__enter__()
    session = subprocess.Popen(["ssh", "-F", str(door.config()), "-n", door.alias, "sleep 300"])
    pid = door.process.pid
    assert ssh_door.clear(lab)
    session.wait(10)
    assert standing(lab) == before
    assert nothing_of(lab, pid)
    assert not ssh_door.clear(lab)
    left.__exit__(None, None, None)


class Elsewhere(Lab):
    """A lab in a checkout that is closed to others."""

    above: Path

    @property
    def directory(self) -> Path:
        """In a directory of its owner's alone."""
        return self.above / "lab"


def test_a_checkout_that_is_closed_to_others_is_opened_for_the_account_alone(door: Door, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    Elsewhere.above = closed
    lab = Elsewhere(door.lab.name)
    ssh_door.directory_of(lab).mkdir(parents=True)
    ssh_door.let_through(lab)
    assert inside(door, f"ls '{lab.directory}'").split() == ["door"]
    assert inside(door, f"ls {closed}") == ""
    ssh_door.take_rights_back(lab)
    assert inside(door, f"ls '{lab.directory}'") == ""
    assert closed.stat().st_mode & 0o7777 == 0o700
    assert acls(closed) == ["group::---", "other::---", "user::rwx"]


def acls(path: Path) -> list[str]:
    """A file's ACL, without its name."""
    said = subprocess.run(["getfacl", "-cp", str(path)], capture_output=True, text=True, check=True).stdout
    return sorted(said.split())


def nothing_of(lab: Lab, pid: int) -> bool:
    """Whether a door's account, lines for sudo, files and process are gone."""
    account = ssh_door.account_of(lab)
    assert not [one for one in pwd.getpwall() if one.pw_name == account]
    assert not list(Path("/etc/sudoers.d").glob(f"{account}*"))
    assert not ssh_door.directory_of(lab).exists()
    return not Path(f"/proc/{pid}").exists()


def test_the_account_has_the_documents_groups_and_no_more(door: Door) -> None:
    wanted = {"adm", *re.findall(r"usermod -aG (\w+) ", first_day.filled("engine", {})), door.account}
    assert set(inside(door, "id -Gn").split()) == wanted


def test_the_account_is_nobody_in_a_container(door: Door) -> None:
    assert pwd.getpwnam(door.account).pw_uid >= 30000


def test_the_account_may_not_read_what_is_secret(lab: Lab, door: Door) -> None:
    key = lab.certificates / "live" / lab.domain / "privkey.pem"
    for place in (key, lab.project_directory / ".env.production", lab.ops_password_file):
        assert place.exists()
        assert inside(door, f"cat {place}") == ""


HTTP = b"GET /_ping HTTP/1.0\r\n\r\n"
SSL_REQUEST = bytes.fromhex("0000000804d2162f")


def test_the_key_forwards_the_engine_and_the_database_and_nothing_else(lab: Lab, door: Door) -> None:
    assert asked(door, str(ssh_door.engine_socket()), HTTP).startswith(b"HTTP/1.0 200")
    assert asked(door, f"127.0.0.1:{lab.database_port}", SSL_REQUEST) in {b"N", b"S"}
    assert asked(door, f"127.0.0.1:{lab.https_port}", HTTP) == b""
    assert asked(door, f"localhost:{lab.database_port}", SSL_REQUEST) == b""
    assert asked(door, "/run/other.sock", HTTP) == b""


def asked(door: Door, there: str, question: bytes) -> bytes:
    """What something there answers first through the door; nothing where it isn't forwarded."""
    here = door.directory / "here.sock"
    here.unlink(missing_ok=True)
    master = subprocess.Popen(["ssh", "-F", str(door.config()), "-q", "-N", "-L", f"{here}:{there}", door.alias])
    try:
        assert eventually(here.exists, bool)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(here))
            connection.sendall(question)
            return connection.recv(13)
    except (BrokenPipeError, ConnectionResetError):
        return b""
    finally:
        master.kill()
        master.wait(10)


def test_a_user_who_is_not_root_is_told_so(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(LabError, match="must be root"), ssh_door.opened(lab):
        pass
