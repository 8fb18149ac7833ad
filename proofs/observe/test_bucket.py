"""Backups that lie in a bucket alone: by a real store that serves a directory, and by answers as Amazon gives them."""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import re
import socket
import threading
import tracemalloc
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from lab.object_store import ACCESS_KEY, ObjectStore, serving
from observe import backup_file
from observe.archive import Archive, copy_where_due, piled
from observe.backup_file import inspect
from observe.backups import Backup, list_backups
from observe.bucket import Bucket, arrived
from observe.encryption import Storage
from observe.errors import CannotTell
from observe.host import Host
from observe.off_site import Copy
from observe.restore.proven import sha256_of
from proofs.observe.servers import Http, Loopback, answer, silent
from proofs.observe.stores import BUCKET
from proofs.observe.test_backup_file import dump_of
from target.kinds import Secret
from target.model import OffSite

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_keys_of_this_machine")

PATTERN = "synk_backup_%Y%m%d_%H%M%S.sql.gz"
NAMES = [f"synk_backup_202611{day:02}_020000.sql.gz" for day in (19, 20, 21)]
AT = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
SECONDS = 5.0


@pytest.fixture
def place(request: pytest.FixtureRequest, store: ObjectStore) -> Path:
    """A place in the bucket for this proof alone."""
    directory = store.directory / BUCKET / re.sub(r"\W+", "-", request.node.name)
    directory.mkdir()
    return directory


def bucket_of(
    store: ObjectStore,
    prefix: str,
    *,
    url: str = "",
    name: str = BUCKET,
    secret: Secret | None = None,
    seconds: float = SECONDS,
) -> Bucket:
    key = secret or Secret(store.secret_key)
    settings = OffSite(name, url or store.url, "lab", prefix, access_key=Secret(ACCESS_KEY), secret_key=key)
    return Bucket(settings, lambda: key, seconds)


def backup(file: Path, size: int = 200_000, seed: int = 1) -> Path:
    file.write_bytes(gzip.compress(dump_of(size, seed)))
    day = datetime.strptime(file.name, PATTERN).replace(tzinfo=UTC)
    os.utime(file, (day.timestamp() + 60,) * 2)
    return file


# A real store ---------------------------------------------------------------------------------------------------------


def test_the_listing_is_that_of_the_same_files_on_a_disk(store: ObjectStore, place: Path) -> None:
    for name in NAMES:
        backup(place / name)
    (place / "backup.log").write_text("done\n")
    (place / f"{NAMES[0]}.partial").write_text("")
    (place / "older").mkdir()
    backup(place / "older" / NAMES[0])
    seen = bucket_of(store, f"{place.name}/").listing(PATTERN, UTC)
    on_disk = list_backups(Host("local://", 10), place, PATTERN, UTC)
    assert seen.backups == tuple(replace(one, modified=one.modified.replace(microsecond=0)) for one in on_disk.backups)
    assert seen.others == on_disk.others
    assert seen.looked_at == f"3 backups and 2 other files in s3://{BUCKET}/{place.name}"


def test_a_listing_of_several_pages_is_whole(store: ObjectStore, place: Path) -> None:
    number = 1001
    for one in range(number):
        (place / f"synk_backup_{datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=one):%Y%m%d_%H%M%S}.sql.gz").touch()
    assert len(bucket_of(store, f"{place.name}/").listing(PATTERN, UTC).backups) == number


def test_a_prefix_need_not_end_a_directory(store: ObjectStore, place: Path) -> None:
    backup(place / NAMES[0]).rename(place / f"nights-{NAMES[0]}")
    backup(place / NAMES[1])
    bucket = bucket_of(store, f"{place.name}/nights-")
    assert [one.name for one in bucket.listing(PATTERN, UTC).backups] == [NAMES[0]]
    assert not inspect(bucket.directory / NAMES[0], 10).gzip.damage


def test_the_root_of_a_bucket_is_a_place_as_well(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    backup(tmp_path / "root" / NAMES[0])
    with serving(tmp_path) as alone:
        bucket = bucket_of(alone, "", name="root")
        assert bucket.listing(PATTERN, UTC).looked_at == "1 backup in s3://root"
        assert not inspect(bucket.directory / NAMES[0], 10).gzip.damage


@pytest.mark.parametrize("damage", ["whole", "cut", "flipped", "empty", "unfinished"])
def test_an_object_is_looked_into_as_a_file_is(store: ObjectStore, place: Path, damage: str) -> None:
    file = backup(place / NAMES[0], 2_000_000)
    content = bytearray(file.read_bytes())
    if damage == "cut":
        del content[-1000:]
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
    elif damage == "empty":
        content = bytearray(gzip.compress(b""))
    elif damage == "unfinished":
        content = bytearray(gzip.compress(dump_of(2_000_000)[:-200]))
    file.write_bytes(content)
    here, there = inspect(file, 20), inspect(bucket_of(store, f"{place.name}/").directory / file.name, 20)
    assert replace(there, seconds=here.seconds) == here
    assert bool(here.gzip.damage) == (damage in ("cut", "flipped"))
    assert bool(here.dump.trouble) == (damage != "whole")


def test_a_checksum_is_that_of_the_file(store: ObjectStore, place: Path) -> None:
    file = backup(place / NAMES[0], 3_000_000)
    assert sha256_of(bucket_of(store, f"{place.name}/").directory / file.name, 20) == sha256_of(file, 20)


def test_it_can_be_read_from_any_byte(store: ObjectStore, place: Path) -> None:
    content = random.Random(1).randbytes(300_000)  # noqa: S311
    (place / "some").write_bytes(content)
    path, rng = bucket_of(store, f"{place.name}/").directory / "some", random.Random(2)  # noqa: S311
    with path.open("rb") as file:
        for _ in range(20):
            at, most = rng.randrange(310_000), rng.randrange(50_000)
            file.seek(at)
            assert file.read(most) == content[at : at + most]
        assert file.seek(-10, os.SEEK_END) == 299_990
        assert file.read() == content[-10:]
    assert path.read_bytes() == content
    assert (path.is_file(), path.parent.is_dir(), (path.parent / "none").exists()) == (True, True, False)
    assert [one.name for one in path.parent.iterdir()] == ["some"]


def test_what_changes_while_it_is_read_is_noticed(
    store: ObjectStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same size and time: the ETag tells."""
    file = backup(place / NAMES[0], 2_000_000)
    path = bucket_of(store, f"{place.name}/").directory / file.name
    unpack, times = backup_file.unpack, file.stat()

    def changing(*asked: object) -> object:
        packed = unpack(*asked)  # type: ignore[arg-type]
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        return packed

    monkeypatch.setattr(backup_file, "unpack", changing)
    with pytest.raises(CannotTell, match="changed while it was read"):
        inspect(path, 20)


def test_what_changes_before_the_next_part_is_read_is_noticed(store: ObjectStore, place: Path) -> None:
    file = place / "some"
    file.write_bytes(bytes(300_000))
    with (bucket_of(store, f"{place.name}/").directory / "some").open("rb", buffering=0) as opened:
        assert opened.read(10) == bytes(10)
        file.write_bytes(b"x" * 300_000)
        opened.seek(100_000)
        with pytest.raises(OSError, match="changed while it was read"):
            opened.read(10)


def test_what_is_gone_cannot_be_read(store: ObjectStore, place: Path) -> None:
    with pytest.raises(CannotTell, match="can't be read: it is gone from the bucket") as no:
        inspect(bucket_of(store, f"{place.name}/").directory / NAMES[0], 5)
    assert no.value.cause == f"backup {NAMES[0]}"


@dataclass
class Cutting:
    """Passes on what goes to a server, and breaks off each connection after so many bytes of its answers."""

    port: int
    after: int
    times: int = 0

    def __call__(self, connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as server:
            threading.Thread(target=self._back, args=(server, connection), daemon=True).start()
            while block := connection.recv(65536):
                server.sendall(block)

    def _back(self, server: socket.socket, connection: socket.socket) -> None:
        left = self.after
        with contextlib.suppress(OSError):
            while block := server.recv(65536):
                connection.sendall(block[:left])
                left -= len(block)
                if left <= 0:
                    self.times += 1
                    connection.shutdown(socket.SHUT_RDWR)
                    return


def test_a_connection_that_breaks_off_is_taken_up_where_it_broke(store: ObjectStore, place: Path) -> None:
    file = backup(place / NAMES[0], 2_000_000)
    relay = Cutting(urlsplit(store.url).port or 0, 200_000)
    with Loopback(relay) as between:
        path = bucket_of(store, f"{place.name}/", url=f"http://{between.address}").directory / file.name
        assert sha256_of(path, 20) == sha256_of(file, 20)
    assert relay.times >= 3


def test_a_connection_that_breaks_off_for_ever_cannot_tell(store: ObjectStore, place: Path) -> None:
    file = backup(place / NAMES[0], 100_000)
    relay = Cutting(urlsplit(store.url).port or 0, 450)  # the head of an answer, and little of its body
    with Loopback(relay) as between:
        bucket = bucket_of(store, f"{place.name}/", url=f"http://{between.address}", seconds=2)
        with pytest.raises(CannotTell):
            inspect(bucket.directory / file.name, 10)


def test_memory_is_bounded_whatever_the_size(store: ObjectStore, place: Path) -> None:
    (place / "large").write_bytes(bytes(64 * 1024**2))
    path = bucket_of(store, f"{place.name}/").directory / "large"
    path.stat()  # the client's own description of S3
    tracemalloc.start()
    try:
        sha256_of(path, 60)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8e6


def test_a_bucket_that_is_gone_cannot_tell(store: ObjectStore) -> None:
    with pytest.raises(CannotTell, match="has no bucket gone") as no:
        bucket_of(store, "", name="gone").listing(PATTERN, UTC)
    assert no.value.cause == "offsite"


def test_a_key_that_is_refused_cannot_tell_and_is_not_shown(store: ObjectStore, place: Path) -> None:
    file, wrong = backup(place / NAMES[0]), Secret(os.urandom(20).hex())
    bucket = bucket_of(store, f"{place.name}/", secret=wrong)
    for ask in (lambda: bucket.listing(PATTERN, UTC), lambda: inspect(bucket.directory / file.name, 5)):
        with pytest.raises(CannotTell, match="refuses to be read") as no:
            ask()
        assert wrong.reveal() not in f"{no.value}{no.value.mend}{no.getrepr(showlocals=True)}"


def test_nobody_there_cannot_tell(store: ObjectStore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(CannotTell, match="can't be reached"):
        bucket_of(store, "", url=f"http://127.0.0.1:{port}", seconds=3).listing(PATTERN, UTC)


def test_a_silent_store_costs_its_limit_once(store: ObjectStore) -> None:
    with Loopback(silent) as quiet:
        bucket = bucket_of(store, "", url=f"http://{quiet.address}", seconds=0.3)
        for _ in range(5):
            with pytest.raises(CannotTell, match="did not answer within 300 ms"):
                bucket.listing(PATTERN, UTC)
        assert quiet.connections == 1


def test_the_bucket_is_only_read(store: ObjectStore, place: Path) -> None:
    file = backup(place / NAMES[0])
    before = (file.stat().st_mtime_ns, sorted(one.name for one in place.iterdir()))
    bucket = bucket_of(store, f"{place.name}/")
    bucket.listing(PATTERN, UTC)
    inspect(bucket.directory / file.name, 10)
    with pytest.raises(ValueError, match="can only be read"):
        (bucket.directory / "new").open("wb")
    assert (file.stat().st_mtime_ns, sorted(one.name for one in place.iterdir())) == before


# Off site by itself ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("took", "trouble"), [(timedelta(minutes=9), False), (timedelta(hours=25), True)])
def test_each_backup_is_its_own_copy_off_site_and_is_judged_by_when_it_came(
    store: ObjectStore, place: Path, took: timedelta, *, trouble: bool
) -> None:
    day = timedelta(days=1)
    one = Backup(NAMES[-1], AT, 10, AT + took)
    directory = bucket_of(store, f"{place.name}/").directory
    held = piled(directory, [(one.name, 10, one.modified.timestamp())], {one.name: one.name}, PATTERN, UTC)
    copy = copy_where_due(held, day, AT + 3 * day, lambda due: arrived(due, directory, day))
    seen = Archive(held, AT + 3 * day, 30 * day, 0.25, None, BUCKET, copy, "it keeps no versions")
    assert isinstance(seen.copy, Copy)
    assert bool(seen.copy.trouble) is trouble
    assert seen.holds is not trouble
    assert ("came to the bucket 25 h after it was made" in seen.said) is trouble
    assert "on no disk of this stack" in seen.said
    assert seen.share == 0
    assert any("their only place" in note and "it keeps no versions" in note for note in seen.notes)
    assert seen.looked_at.startswith(f"1 file that looks like a backup in s3://{BUCKET}/")


# Answers as Amazon gives them -----------------------------------------------------------------------------------------


def laid_down(head: bytes, of_bucket: bytes) -> Http:
    return Http({f"/{BUCKET}/nights/{NAMES[0]}": head, f"/{BUCKET}?encryption": of_bucket})


def head(*headers: tuple[str, str]) -> bytes:
    lines = ["Content-Length: 10", 'ETag: "x"', "Last-Modified: Sat, 21 Nov 2026 02:10:00 GMT"]
    every = ["HTTP/1.1 200 OK", *lines, *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(every).encode() + b"\r\n\r\n"


def refusal(status: int, code: str) -> bytes:
    return answer(status, f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>it is so</Message></Error>')


def rule(kind: str) -> bytes:
    by_default = f"<ApplyServerSideEncryptionByDefault><SSEAlgorithm>{kind}</SSEAlgorithm>"
    return answer(
        200,
        '<?xml version="1.0"?><ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Rule>{by_default}</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>",
    )


NONE = refusal(404, "ServerSideEncryptionConfigurationNotFoundError")


@pytest.mark.parametrize(
    ("first", "second", "encrypted", "said"),
    [
        (head(("x-amz-server-side-encryption", "AES256")), NONE, True, f"the store says of {NAMES[0]} that it is"),
        (head(), rule("aws:kms"), True, f"the bucket {BUCKET} encrypts by default (aws:kms)"),
        (head(), NONE, False, f"the bucket {BUCKET} has no encryption by default"),
    ],
    ids=["by the backup itself", "by default", "not at all"],
)
def test_whether_a_bucket_encrypts_is_what_the_store_says(
    store: ObjectStore, first: bytes, second: bytes, said: str, *, encrypted: bool
) -> None:
    with Loopback(laid_down(first, second)) as server:
        bucket = bucket_of(store, "nights/", url=f"http://{server.address}")
        seen = bucket.encryption(NAMES[0])
    assert seen[0] is encrypted
    assert seen[1].startswith(said)


def test_who_may_not_ask_for_its_encryption_cannot_tell_and_the_place_says_so(store: ObjectStore) -> None:
    with Loopback(laid_down(head(), refusal(403, "AccessDenied"))) as server:
        bucket = bucket_of(store, "nights/", url=f"http://{server.address}")
        storage = Storage(None, None, lambda: bucket.encryption(NAMES[0]))  # type: ignore[arg-type]
        place = storage._place("backups")
    assert place.unseen is not None
    assert "can't be asked (AccessDenied)" in place.unseen.what
    assert "s3:GetEncryptionConfiguration" in place.unseen.mend


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (
            answer(200, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
            "it keeps versions",
        ),
        (answer(200, "<VersioningConfiguration/>"), "it keeps no versions"),
        (refusal(403, "AccessDenied"), "can't be asked (AccessDenied: s3:GetBucketVersioning)"),
    ],
    ids=["yes", "no", "unknown"],
)
def test_whether_what_is_deleted_can_be_had_back_is_said(store: ObjectStore, said: bytes, wanted: str) -> None:
    with Loopback(Http({f"/{BUCKET}?versioning": said})) as server:
        assert wanted in bucket_of(store, "", url=f"http://{server.address}").versions()


def test_a_backup_in_cold_storage_cannot_tell(store: ObjectStore) -> None:
    with Loopback(laid_down(head(("x-amz-storage-class", "GLACIER")), NONE)) as server:
        bucket = bucket_of(store, "nights/", url=f"http://{server.address}")
        with pytest.raises(CannotTell, match="in the storage class GLACIER and can't be read as it is"):
            inspect(bucket.directory / NAMES[0], 5)


@pytest.mark.parametrize("status", [500, 503])
def test_a_store_that_is_in_trouble_is_tried_again_and_then_cannot_tell(store: ObjectStore, status: int) -> None:
    http = laid_down(answer(status), NONE)
    with Loopback(http) as server:
        bucket = bucket_of(store, "nights/", url=f"http://{server.address}", seconds=10)
        with pytest.raises(CannotTell):
            bucket.find(NAMES[0])
    assert len(http.asked) == 3
