"""Backups that lie in an object store and on no disk: listed and read where they are.

Serves all of the guide's lines about backups, for a stack whose backups go straight into a bucket that speaks S3. Its
objects are a :class:`observe.files.Place`: what reads a backup's file reads an object, from any byte on, by ranged
GETs. Which object that is says its ETag; one that changes while it is read is noticed.

The store is only read: LIST, HEAD and GET, each tried a few times.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from observe.backups import sort_out
from observe.deadline import within
from observe.errors import CannotTell
from observe.files import _PlacedPath as PlacedPath
from observe.off_site import CAUSE, Copy, client_of, code_of, failed, installed, refused, said_of, status_of_answer
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from observe.backups import Backup, Listing
    from target.kinds import Secret
    from target.model import OffSite

T = TypeVar("T")
ATTEMPTS = 3
"""So often each request is tried, and a body that breaks off is asked for from there on."""
MOST = 100_000
"""Objects below the prefix that are listed at most."""
_COLD = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_GONE = frozenset({"NoSuchKey", "404", "NotFound"})


@dataclass(frozen=True)
class Kept:
    """An object.

    Attributes:
        name: Its key without the prefix.
        size: In bytes.
        taken: When the store took it, aware.
        etag: What tells it from what its key led to before.
    """

    name: str
    size: int
    taken: datetime
    etag: str

    @property
    def status(self) -> os.stat_result:
        """As a file is described: its ETag stands for the inode."""
        number = int.from_bytes(self.etag.encode()[-32:], "big")
        seconds = int(self.taken.timestamp())
        described = (stat.S_IFREG | 0o400, number, 0, 1, 0, 0, self.size, seconds, seconds, seconds)
        return os.stat_result(described, {"st_mtime_ns": seconds * 10**9})


class Bucket:
    """The bucket that the backups lie in, asked when somebody first wants to know something.

    Args:
        settings: Where it is.
        secret_key: What finds the secret that goes with its access key; None for what the store's usual variables and
            files say.
        seconds: Total time limit of a listing and of each request, in seconds.
    """

    def __init__(self, settings: OffSite, secret_key: Callable[[], Secret | None], seconds: float) -> None:
        self._settings = settings
        self._secret_key = secret_key
        self.seconds = seconds
        self._opened: Any = None
        self._dead: CannotTell | None = None
        self._listed: tuple[Kept, ...] | None = None

    @property
    def directory(self) -> Path:
        """Where the backups lie, to be read as if it were a directory here."""
        root = f"s3:/{self._settings.bucket}/{self._settings.prefix.rstrip('/')}".rstrip("/")

        class InBucket(PlacedPath):
            _place = _Objects(self, root)

            def __str__(self) -> str:
                return super().__str__().replace("s3:/", "s3://", 1)

        return cast("Path", InBucket(root))

    def listing(self, pattern: str, zone: Any) -> Listing:  # noqa: ANN401  a tzinfo
        """The backups, by their names.

        Args:
            pattern: The names of the dumps, with strftime's codes.
            zone: The zone of the time in the names.

        Raises:
            CannotTell: If the bucket can't be listed.
        """
        entries = [(one.name, one.size, one.taken.timestamp()) for one in self.objects()]
        return sort_out(self.directory, entries, pattern, zone)

    def objects(self) -> tuple[Kept, ...]:
        """What lies under the prefix, but for what lies deeper; listed once.

        Raises:
            CannotTell: If the bucket isn't there, can't be listed, or has too much.
        """
        if self._listed is None:
            self._listed = tuple(self._ask(self._list))
        return self._listed

    def find(self, name: str) -> Kept:
        """One object as it is now.

        Raises:
            FileNotFoundError: If there is none.
            CannotTell: If it can't be asked.
        """
        return self._ask(lambda client: self._head(client, name))

    def encryption(self, newest: str) -> tuple[bool, str]:
        """Whether the store says that it encrypts what is written to the bucket, and how that is known.

        Args:
            newest: The newest backup: what the store says of it counts, whatever the bucket's default is by now.

        Raises:
            CannotTell: If neither says so, and the bucket's default may not be asked.
        """

        def look(client: Any) -> tuple[bool, str]:  # noqa: ANN401
            answer = client.head_object(Bucket=self._settings.bucket, Key=self._key(newest))
            if kind := answer.get("ServerSideEncryption"):
                return True, f"the store says of {newest} that it is encrypted ({str(kind)[:40]})"
            return self._default(client)

        return self._ask(look)

    def versions(self) -> str:
        """Whether what is deleted in the bucket can be had back, in words.

        Raises:
            CannotTell: If the store can't be asked at all; that this may not be asked is said.
        """
        from botocore.exceptions import ClientError

        def look(client: Any) -> str:  # noqa: ANN401
            try:
                status = client.get_bucket_versioning(Bucket=self._settings.bucket).get("Status", "")
            except ClientError as error:
                why = code_of(error.response) or status_of_answer(error.response)
                return f"whether it keeps versions of what is deleted can't be asked ({why}: s3:GetBucketVersioning)"
            if status == "Enabled":
                return "it keeps versions: what is deleted can be had back"
            return "it keeps no versions: what is deleted there is gone"

        return self._ask(look)

    # ------------------------------------------------------------------------------------------------------------------

    def open(self, name: str) -> BinaryIO:
        """Open an object; see :class:`observe.files.Place`."""
        kept = self.find(name)
        return cast("BinaryIO", _Object(lambda at: self._body(name, kept, at), kept.size, name))

    def _key(self, name: str) -> str:
        return f"{self._settings.prefix}{name}"

    def _list(self, client: Any) -> list[Kept]:  # noqa: ANN401
        found: list[Kept] = []
        asked = {"Bucket": self._settings.bucket, "Prefix": self._settings.prefix, "Delimiter": "/"}
        while True:
            answer = client.list_objects_v2(**asked)
            if "Name" not in answer:
                raise CannotTell(f"{said_of(self._settings)} doesn't answer as S3 does", cause=CAUSE)
            found += [
                Kept(name, one["Size"], one["LastModified"], one.get("ETag", ""))
                for one in answer.get("Contents", ())
                if (name := one["Key"].removeprefix(self._settings.prefix))
            ]
            if len(found) > MOST:
                raise CannotTell(
                    f"more than {MOST:,} objects lie under s3://{self._settings.bucket}/{self._settings.prefix}",
                    mend="Give the backups a prefix of their own, and name it: offsite.prefix.",
                    cause=CAUSE,
                )
            if not answer.get("IsTruncated"):
                return found
            asked["ContinuationToken"] = answer["NextContinuationToken"]

    def _head(self, client: Any, name: str) -> Kept:  # noqa: ANN401
        answer = client.head_object(Bucket=self._settings.bucket, Key=self._key(name))
        if answer.get("StorageClass") in _COLD and 'ongoing-request="false"' not in answer.get("Restore", ""):
            raise CannotTell(
                f"{name} is in the storage class {answer['StorageClass']} and can't be read as it is",
                mend="Let backups go there later, or have this one restored: `aws s3api restore-object`.",
                cause=f"backup {name}",
            )
        return Kept(name, answer["ContentLength"], answer["LastModified"], answer.get("ETag", ""))

    def _body(self, name: str, kept: Kept, at: int) -> Any:  # noqa: ANN401
        from botocore.exceptions import ClientError

        asked = {"Bucket": self._settings.bucket, "Key": self._key(name), "Range": f"bytes={at}-"}
        try:
            answer = self._client().get_object(**asked, **({"IfMatch": kept.etag} if kept.etag else {}))
        except ClientError as error:
            code, status = code_of(error.response), status_of_answer(error.response)
            if code in _GONE or status == 404:
                raise FileNotFoundError(errno.ENOENT, "it is gone from the bucket", name) from None
            if status in (412, 416):
                raise OSError(errno.ESTALE, "it changed while it was read", name) from None
            raise refused(said_of(self._settings), error.response) from None
        if answer.get("ETag", kept.etag) != kept.etag:
            raise OSError(errno.ESTALE, "it changed while it was read", name)
        if at and answer["ContentLength"] != kept.size - at:
            raise CannotTell(f"{said_of(self._settings)} hands out no part of an object", cause=CAUSE)
        return answer["Body"]

    def _default(self, client: Any) -> tuple[bool, str]:  # noqa: ANN401
        from botocore.exceptions import ClientError

        bucket = self._settings.bucket
        try:
            answer = client.get_bucket_encryption(Bucket=bucket)
        except ClientError as error:
            code = code_of(error.response)
            if code == "ServerSideEncryptionConfigurationNotFoundError":
                return False, f"the bucket {bucket} has no encryption by default, and its newest backup says none"
            raise CannotTell(
                f"whether the bucket {bucket} encrypts can't be asked ({code or status_of_answer(error.response)}), "
                f"and its newest backup says nothing of it",
                mend="Allow s3:GetEncryptionConfiguration, or attest the key that the store encrypts by.",
                cause=CAUSE,
            ) from None
        rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", ())
        kinds = [one.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm", "") for one in rules]
        if not any(kinds):
            return False, f"the bucket {bucket} has no encryption by default, and its newest backup says none"
        return True, f"the bucket {bucket} encrypts by default ({', '.join(filter(None, kinds))[:80]})"

    def _client(self) -> Any:  # noqa: ANN401
        if self._opened is None:
            self._opened = client_of(self._settings, self._secret_key(), self.seconds, attempts=ATTEMPTS)
        return self._opened

    def _ask(self, work: Callable[[Any], T]) -> T:
        """Ask the store within the time limit; a way there that is dead is remembered as dead."""
        if self._dead is not None:
            raise self._dead.with_traceback(None)
        installed(self._settings)
        try:
            return within(self.seconds, lambda: work(self._client()))
        except (CannotTell, FileNotFoundError):
            raise
        except Exception as error:  # noqa: BLE001  the client's own, of many kinds; they may hold keys
            failure = self._judged(error)
        raise failure

    def _judged(self, error: Exception) -> Exception:
        from botocore.exceptions import ClientError

        store = said_of(self._settings)
        if isinstance(error, ClientError):
            code, status = code_of(error.response), status_of_answer(error.response)
            if code == "NoSuchBucket":
                mend = "Set offsite.bucket, or see who has deleted it."
                return CannotTell(f"{store} has no bucket {self._settings.bucket}", mend=mend, cause=CAUSE)
            if code in _GONE or status == 404:
                return FileNotFoundError(errno.ENOENT, "it is gone from the bucket")
            return refused(store, error.response)
        self._dead = failed(store, error, self.seconds)
        return self._dead


class _Objects:
    """The objects of a bucket as files of one directory; see :class:`observe.files.Place`."""

    def __init__(self, bucket: Bucket, root: str) -> None:
        self._bucket = bucket
        self._root = root

    def stat(self, path: str, *, follow: bool = True) -> os.stat_result:  # noqa: ARG002  there are no links
        name = self._name(path)
        if not name:
            return os.stat_result((stat.S_IFDIR | 0o500, 0, 0, 1, 0, 0, 0, 0, 0, 0))
        return self._bucket.find(name).status

    def listed(self, directory: str) -> Sequence[tuple[str, os.stat_result]]:
        if self._name(directory):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), directory)
        return [(one.name, one.status) for one in self._bucket.objects()]

    def open(self, path: str) -> BinaryIO:
        return self._bucket.open(self._name(path))

    def may_execute(self, path: str) -> bool:  # noqa: ARG002
        return False

    def sha256(self, path: str) -> str | None:  # noqa: ARG002  the store's own checksum is of another kind
        return None

    def _name(self, path: str) -> str:
        given = path.replace("s3://", "s3:/", 1)
        if given != self._root and not given.startswith(f"{self._root}/"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return given[len(self._root) + 1 :]


class _Object(io.RawIOBase):
    """An object that is read from where one stands, asked for anew from there when it breaks off.

    Args:
        body: Asks for it from a byte on.
        size: Its size in bytes.
        name: What it is called.
    """

    def __init__(self, body: Callable[[int], Any], size: int, name: str) -> None:
        self._ask = body
        self._size = size
        self.name = name
        self._at = 0
        self._body: Any = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if max(0, base + offset) != self._at:
            self._at = max(0, base + offset)
            self._drop()
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  a buffer of bytes
        if self._at >= self._size or not len(buffer):
            return 0
        for _ in range(ATTEMPTS):
            data = self._some(len(buffer))
            if data:
                buffer[: len(data)] = data
                self._at += len(data)
                return len(data)
            self._drop()
        raise OSError(errno.EIO, f"it broke off {ATTEMPTS} times at byte {self._at:,} of {self._size:,}", self.name)

    def _some(self, most: int) -> bytes:
        """What comes next, at most so much; nothing where the connection broke."""
        from botocore.exceptions import BotoCoreError, HTTPClientError

        try:
            if self._body is None:
                self._body = self._ask(self._at)
            return bytes(self._body.read(min(most, self._size - self._at)))
        except (BotoCoreError, HTTPClientError):
            return b""

    def close(self) -> None:
        self._drop()
        super().close()

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None


def arrived(backup: Backup, directory: Path, delay: timedelta) -> Copy:
    """A backup in the bucket as its own copy off site: it lies there, and what is judged is when it came.

    Args:
        backup: The backup.
        directory: Where it lies.
        delay: How long after it was made it must be off site.
    """
    took = max(timedelta(0), backup.modified.astimezone(UTC) - backup.at.astimezone(UTC))
    late = f"{backup.name} came to the bucket {say_span(took)} after it was made" if took > delay else ""
    compared = f"its being there {say_span(took)} after it was made"
    return Copy(backup, f"{directory}/{backup.name}", late, compared, f"{backup.modified:%Y-%m-%d %H:%M}")
