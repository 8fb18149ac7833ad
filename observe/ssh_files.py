"""The files of a host over SSH: described, listed and read by the commands that every such host has.

GNU's `stat`, `find`, `tail`, `head` and `sha256sum` are asked, each within the
host's time limit, and by `sudo -n` where the settings say so for a path. A file
is streamed from where it is read on; what isn't read isn't sent.
"""

from __future__ import annotations

import errno
import io
import os
import re
import selectors
import shlex
import stat
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from observe.ssh import COMPLAINT, TRANSPORT_FAILED, Answer, read_both, refused_by_sudo, text_of

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from typing import Any

    from observe.ssh import Ssh

_STAT = "%f %i %d %h %u %g %s %X %Y %Z"
_FIND = r"%m %y %Y %i %D %n %U %G %s %A@ %T@ %C@ %f\0"
_TYPES = {"f": stat.S_IFREG, "d": stat.S_IFDIR, "l": stat.S_IFLNK, "p": stat.S_IFIFO, "s": stat.S_IFSOCK}
_HEAD = 64 * 1024
"""So much of a file comes with its description, and after a seek: most files that are read are no longer."""
_PIECE = 4 * 1024**2
"""What is fetched at most by one command, where so much is asked for at once."""

_ERRNO = (
    ("No such file or directory", errno.ENOENT),
    ("Permission denied", errno.EACCES),
    ("Not a directory", errno.ENOTDIR),
    ("Is a directory", errno.EISDIR),
    ("Too many levels of symbolic links", errno.ELOOP),
    ("Stale file handle", errno.ESTALE),
    ("Input/output error", errno.EIO),
)


class SshFiles:
    """The files of a host, as :class:`observe.files.Place` wants them.

    Args:
        ssh: The connection.
    """

    def __init__(self, ssh: Ssh) -> None:
        self.ssh = ssh

    def stat(self, path: str, *, follow: bool = True) -> os.stat_result:
        """Describe a file; see :class:`observe.files.Place`."""
        followed = "-L " if follow else ""
        answer = self.ssh.run(f"{self.ssh.sudo(path)}stat {followed}-c '{_STAT}' -- {shlex.quote(path)}")
        fails(answer, path)
        return _described(answer.out.decode(errors="replace"))

    def listed(self, directory: str) -> Sequence[tuple[str, os.stat_result]]:
        """List a directory; see :class:`observe.files.Place`."""
        # A name that begins with a dash would be an option to find: an absolute one never does.
        place = directory if directory.startswith("/") else f"./{directory}"
        shape = f"-mindepth 1 -maxdepth 1 -printf '{_FIND}'"
        answer = self.ssh.run(f"{self.ssh.sudo(directory)}find -L {shlex.quote(place)} {shape}")
        found = [_found(entry) for entry in answer.out.split(b"\0")[:-1]]
        # What vanished meanwhile is complained of as well: only nothing at all is no list.
        if answer.status and not found:
            fails(answer, directory)
        if answer.status == 0 and not found and not stat.S_ISDIR(self.stat(directory).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), directory)
        return found

    def open(self, path: str) -> BinaryIO:
        """Open a regular file; see :class:`observe.files.Place`."""
        quoted, sudo = shlex.quote(path), self.ssh.sudo(path)
        line = f"{sudo}stat -L -c '{_STAT}' -- {quoted} && {sudo}tail -c +1 -- {quoted} | head -c {_HEAD}"
        answer = self.ssh.run(f"sh -c {shlex.quote(line)}")
        described, _, head = answer.out.partition(b"\n")
        if not described:
            fails(answer, path)
        seen = _described(described.decode(errors="replace"))
        if not stat.S_ISREG(seen.st_mode):
            raise OSError(errno.EINVAL, "is no regular file", path)
        # The pipe's status is `head`'s: whether the file could be read is told by what `tail` said.
        if not head and seen.st_size and answer.complaint:
            fails(Answer(1, b"", answer.complaint), path)
        return cast("BinaryIO", _RemoteFile(self, path, head, f"{seen.st_dev} {seen.st_ino}"))

    def may_execute(self, path: str) -> bool:
        """Whether the account may execute a file there."""
        return self.ssh.run(f"test -x {shlex.quote(path)}").status == 0

    def sha256(self, path: str) -> str | None:
        """A file's checksum, made where it lies: that is the same work there, and nothing to send.

        The time limit is the caller's.
        """
        process = self.ssh.start(f"{self.ssh.sudo(path)}sha256sum -b -- {shlex.quote(path)}")
        try:
            out, complaint = read_both(process, COMPLAINT)
            status = process.wait()
        finally:
            self.ssh.end(process)
        if status == TRANSPORT_FAILED:
            raise self.ssh.gone(complaint)
        fails(Answer(status, out, complaint), path)
        # A name with a backslash or a line's end is written with a backslash before the checksum.
        found = re.match(rb"\\?([0-9a-f]{64}) ", out)
        return found[1].decode() if found else None


class _RemoteFile(io.RawIOBase):
    """A file over there: its beginning is here already, what follows comes as it is read."""

    def __init__(self, files: SshFiles, path: str, head: bytes, identity: str) -> None:
        super().__init__()
        self.name = path
        self._files, self._ssh = files, files.ssh
        self._held, self._held_at = head, 0
        self._position = 0
        self._identity = identity.encode() + b"\n"
        self.inode = int(identity.split()[1])
        self._stream: subprocess.Popen[bytes] | None = None
        self._stream_at = 0
        self._sought = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            offset += self._files.stat(self.name).st_size
        elif whence == os.SEEK_CUR:
            offset += self._position
        if offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), self.name)
        self._sought = self._sought or offset != self._position
        self._position = offset
        return offset

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  whatever has room for bytes
        block = self._next(len(buffer))
        buffer[: len(block)] = block
        self._position += len(block)
        return len(block)

    def close(self) -> None:
        if not self.closed:
            self._drop()
        super().close()

    def _next(self, most: int) -> bytes:
        begin = self._position - self._held_at
        if 0 <= begin < len(self._held):
            return self._held[begin : begin + most]
        # A short file is here as a whole: nothing is asked to learn that it ends there.
        if begin == len(self._held) and self._held_at == 0 and len(self._held) < _HEAD:
            return b""
        if self._stream is not None and self._stream_at == self._position:
            return self._streamed(most)
        self._drop()
        if self._sought:
            # Whoever seeks will seek again, perhaps: a piece is fetched, and the rest only if it is read on.
            self._sought = False
            self._held, self._held_at = self._piece(max(_HEAD, min(most, _PIECE))), self._position
            return self._held[:most]
        self._stream = self._ssh.start(f"sh -c {shlex.quote(self._line())}")
        self._stream_at = self._position
        self._must_be_the_same(b"".join(iter(self._one_byte, b"\n")) + b"\n")
        return self._streamed(most)

    def _line(self) -> str:
        """Prints which file the name leads to now, and what it has from here on."""
        sudo, quoted = self._ssh.sudo(self.name), shlex.quote(self.name)
        return f"{sudo}stat -L -c '%d %i' -- {quoted}; {sudo}tail -c +{self._position + 1} -- {quoted}"

    def _one_byte(self) -> bytes:
        byte = self._streamed(1)
        self._stream_at -= len(byte)
        return byte or b"\n"

    def _must_be_the_same(self, identity: bytes) -> None:
        # A log that was rotated meanwhile has its name no more: what stands there now is another file.
        if identity != self._identity:
            self._drop()
            raise OSError(errno.ESTALE, "was put in another's place while it was read", self.name)

    def _piece(self, most: int) -> bytes:
        answer = self._ssh.run(f"sh -c {shlex.quote(f'{{ {self._line()}; }} | head -c {most + len(self._identity)}')}")
        identity, _, piece = answer.out.partition(b"\n")
        if answer.complaint and not piece:
            fails(Answer(1, b"", answer.complaint), self.name)
        if answer.complaint and not identity:
            fails(Answer(1, b"", answer.complaint), self.name)
        self._must_be_the_same(identity + b"\n")
        return piece

    def _streamed(self, most: int) -> bytes:
        process = cast("subprocess.Popen[bytes]", self._stream)
        out = cast("IO[bytes]", process.stdout)
        if not _readable(out, self._ssh.seconds):
            self._drop()
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), self.name)
        block = os.read(out.fileno(), most)
        self._stream_at += len(block)
        if block:
            return block
        complaint = text_of(cast("IO[bytes]", process.stderr).read(COMPLAINT))
        status = process.wait()
        self._drop()
        if status == TRANSPORT_FAILED or status < 0:
            raise self._ssh.gone(complaint)
        fails(Answer(status, b"", complaint), self.name)
        return b""

    def _drop(self) -> None:
        if self._stream is not None:
            self._ssh.end(self._stream)
            self._stream = None


def _readable(stream: IO[bytes], seconds: float) -> bool:
    with selectors.DefaultSelector() as waiting:
        waiting.register(stream, selectors.EVENT_READ)
        return bool(waiting.select(seconds))


def fails(answer: Answer, path: str) -> None:
    """Raise what a command's complaint means, if it failed.

    Raises:
        OSError: What is wrong with the file.
        CannotTell: If it is `sudo` that refused.
    """
    if answer.status == 0:
        return
    if "sudo:" in answer.complaint:
        raise refused_by_sudo(path, answer.complaint)
    for said, number in _ERRNO:
        if said in answer.complaint:
            raise OSError(number, os.strerror(number), path)
    raise OSError(errno.EIO, answer.complaint[:200] or f"ended with status {answer.status}", path)


def _described(line: str) -> os.stat_result:
    mode, inode, device, links, user, group, size, *times = line.split()
    numbers = [int(one) for one in (inode, device, links, user, group, size, *times)]
    return _result(int(mode, 16), numbers)


def _found(entry: bytes) -> tuple[str, os.stat_result]:
    mode, kind, _, *fields, name = entry.split(b" ", 12)
    numbers = [int(float(one)) for one in fields]
    permissions = int(mode, 8) | _TYPES.get(kind.decode(), 0)
    return name.decode("utf-8", "surrogateescape"), _result(permissions, numbers)


def _result(mode: int, numbers: Sequence[int]) -> os.stat_result:
    """What `os.stat` gives: inode, device, links, owner, group, size, and three times in whole seconds."""
    nanoseconds = {f"st_{name}time_ns": at * 1_000_000_000 for name, at in zip("amc", numbers[-3:], strict=True)}
    return os.stat_result((mode, *numbers), nanoseconds)
