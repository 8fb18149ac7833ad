"""Copies off site: by a real store that serves a directory, and by answers as Amazon gives them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import pytest
from msgspec.structs import replace

from lab.object_store import ACCESS_KEY, ObjectStore, serving
from observe import off_site
from observe.backups import Backup
from observe.errors import CannotTell
from observe.off_site import Copy, copy_of
from proofs.harness import ROOT
from proofs.observe.servers import Authority, Http, Loopback, answer, dripping, key_pem, pem, silent
from proofs.observe.stores import BUCKET
from target.kinds import FilePath, Secret
from target.model import OffSite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_keys_of_this_machine")

NAME = "synk_backup_20261121_020000.sql.gz"
BEGINNING = "synk_backup_"
CONTENT = b"a backup" * 1000
KEY = f"nights/{NAME}"
AT = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """A place in the bucket for this proof alone."""
    return re.sub(r"\W+", "-", request.node.name) + "/"


def put(store: ObjectStore, key: str, content: bytes = CONTENT) -> Path:
    file = store.directory / BUCKET / key
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def settings(store: ObjectStore, prefix: str, url: str = "", bucket: str = BUCKET) -> OffSite:
    key = Secret(store.secret_key)
    return OffSite(bucket, url or store.url, "lab", prefix, access_key=Secret(ACCESS_KEY), secret_key=key)


def look(where: OffSite, directory: Path, *, content: bytes = CONTENT, seconds: float = 5) -> Copy:
    file = directory / NAME
    file.write_bytes(content)
    return copy_of(
        Backup(NAME, AT, len(content), AT), file, where, where.secret_key, beginning=BEGINNING, seconds=seconds
    )


# A real store ---------------------------------------------------------------------------------------------------------


def test_a_copy_is_the_same_by_its_size_and_its_checksum(store: ObjectStore, prefix: str, tmp_path: Path) -> None:
    put(store, prefix + NAME)
    seen = look(settings(store, prefix), tmp_path)
    assert not seen.trouble
    assert seen.compared == "its size and its MD5, the ETag"
    assert seen.place == f"s3://{BUCKET}/{prefix}{NAME}"
    assert seen.rows()[0]["outcome"] == "the same"


def test_a_copy_of_another_size_is_none(store: ObjectStore, prefix: str, tmp_path: Path) -> None:
    put(store, prefix + NAME, CONTENT[:-1])
    assert f"has 7,999 B, {NAME} has 8,000 B" in look(settings(store, prefix), tmp_path).trouble


def test_a_copy_of_the_same_size_and_another_content_is_none(store: ObjectStore, prefix: str, tmp_path: Path) -> None:
    put(store, prefix + NAME, b"b" + CONTENT[1:])
    assert "another content" in look(settings(store, prefix), tmp_path).trouble


def test_a_missing_copy_is_told_from_copying_that_has_stopped(store: ObjectStore, prefix: str, tmp_path: Path) -> None:
    older = put(store, f"{prefix}synk_backup_20261120_020000.sql.gz")
    os.utime(older, (AT.timestamp(), AT.timestamp()))
    put(store, f"{prefix}{NAME}.partial")
    os.utime(store.directory / BUCKET / f"{prefix}{NAME}.partial", (0, 0))
    put(store, f"{prefix}backup.log")
    said = look(settings(store, prefix), tmp_path).trouble
    assert said.startswith(
        f"no copy of {NAME} off site; of 2 called s3://{BUCKET}/{prefix}synk_backup_… the newest is "
    )
    assert said.endswith("synk_backup_20261120_020000.sql.gz, taken 2026-11-21 02:00")


def test_a_wrong_prefix_is_said_as_nothing_at_all(store: ObjectStore, prefix: str, tmp_path: Path) -> None:
    assert "nothing at all is called" in look(settings(store, prefix), tmp_path).trouble


def test_without_a_bucket_there_is_no_copy(store: ObjectStore, prefix: str, tmp_path: Path) -> None:
    assert look(settings(store, prefix, bucket="gone"), tmp_path).trouble == "the store has no bucket gone"


@pytest.mark.parametrize("name", ["ü é", "a+b", "100%", "a&b=c", "it's"])
def test_a_prefix_may_have_any_character(store: ObjectStore, tmp_path: Path, name: str) -> None:
    put(store, f"{name}/{NAME}")
    assert not look(settings(store, f"{name}/"), tmp_path).trouble


def test_a_wrong_key_cannot_tell_and_is_not_shown(store: ObjectStore, prefix: str, tmp_path: Path) -> None:
    put(store, prefix + NAME)
    wrong = Secret(os.urandom(20).hex())
    where = OffSite(BUCKET, store.url, "lab", prefix, access_key=Secret(ACCESS_KEY), secret_key=wrong)
    with pytest.raises(CannotTell, match="refuses to be read") as no:
        look(where, tmp_path)
    assert wrong.reveal() not in f"{no.value}{no.value.mend}{no.getrepr(showlocals=True)}"
    assert no.value.cause == "offsite"


def test_keys_are_taken_from_their_usual_places(
    store: ObjectStore, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, prefix + NAME)
    where = OffSite(BUCKET, store.url, prefix=prefix)
    with pytest.raises(CannotTell, match="there are no keys for the object store") as no:
        look(where, tmp_path)
    assert "AWS_ACCESS_KEY_ID" in no.value.mend
    (tmp_path / ".aws").mkdir()
    keys = f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {store.secret_key}\n"
    (tmp_path / ".aws/credentials").write_text(keys)
    assert not look(where, tmp_path).trouble
    (tmp_path / ".aws/credentials").unlink()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", store.secret_key)
    assert not look(where, tmp_path).trouble
    monkeypatch.setenv("AWS_PROFILE", "none-such")
    with pytest.raises(CannotTell, match="none-such"):
        look(where, tmp_path)


@dataclass
class Listening:
    """Passes on what goes to a server, and notes each request's method."""

    port: int
    methods: list[str] = field(default_factory=list)

    def __call__(self, connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as server:
            threading.Thread(target=self._back, args=(server, connection), daemon=True).start()
            while block := connection.recv(65536):
                self.methods += re.findall(r"^([A-Z]+) \S+ HTTP/1\.1\r$", block.decode("latin-1"), re.MULTILINE)
                server.sendall(block)

    @staticmethod
    def _back(server: socket.socket, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := server.recv(65536):
                connection.sendall(block)


def tree(directory: Path) -> list[tuple[str, int, int]]:
    return sorted((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in directory.rglob("*"))


def test_the_store_is_only_read(store: ObjectStore, prefix: str, tmp_path: Path) -> None:
    put(store, prefix + NAME)
    before, relay = tree(store.directory), Listening(urlsplit(store.url).port or 0)
    with Loopback(relay) as between:
        url = f"http://{between.address}"
        assert not look(settings(store, prefix, url), tmp_path).trouble
        assert relay.methods == ["GET", "HEAD"]
        assert look(settings(store, "elsewhere/", url), tmp_path).trouble
        assert look(settings(store, prefix, url, bucket="gone"), tmp_path).trouble
    assert relay.methods == ["GET", "HEAD", "GET", "GET", "GET"]
    assert tree(store.directory) == before


def test_a_private_ca_is_trusted_when_it_is_named_and_not_otherwise(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.leaf("127.0.0.1")
    (tmp_path / "leaf.pem").write_bytes(pem(certificate))
    (tmp_path / "leaf.key").write_bytes(key_pem(key))
    directory = tmp_path / "store"
    (directory / BUCKET).mkdir(parents=True)
    with serving(directory, certificate=tmp_path / "leaf.pem", key=tmp_path / "leaf.key") as store:
        put(store, NAME)
        where = settings(store, "")
        assert not look(replace(where, ca_file=FilePath(authority.file)), tmp_path).trouble
        with pytest.raises(CannotTell, match="isn't trusted") as no:
            look(where, tmp_path)
        assert "offsite.ca_file" in no.value.mend
        with pytest.raises(CannotTell, match=r"/gone\.pem"):
            look(replace(where, ca_file=FilePath("/gone.pem")), tmp_path)


# Answers as Amazon gives them, which no store here would -------------------------------------------------------------


def amazons(server: Loopback, bucket: str = BUCKET) -> OffSite:
    return OffSite(
        bucket,
        f"http://{server.address}",
        "lab",
        "nights/",
        access_key=Secret("AKIA"),
        secret_key=Secret("a-secret-key"),
    )


def listing(*objects: str, cut: bool = False) -> bytes:
    return answer(
        200,
        f'<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{BUCKET}</Name>'
        f"<IsTruncated>{str(cut).lower()}</IsTruncated>{''.join(objects)}</ListBucketResult>",
    )


def an_object(key: str = KEY, size: int = len(CONTENT), at: str = "2026-11-21T02:10:00.000Z") -> str:
    return f"<Contents><Key>{key}</Key><LastModified>{at}</LastModified><ETag>x</ETag><Size>{size}</Size></Contents>"


def refusal(status: int, code: str, message: str = "it is so") -> bytes:
    return answer(status, f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>')


def head(etag: str, *headers: tuple[str, str], size: int = len(CONTENT)) -> bytes:
    """An answer to HEAD: the length is the object's, and nothing follows."""
    lines = [f"Content-Length: {size}", f'ETag: "{etag}"', "Last-Modified: Sat, 21 Nov 2026 02:10:00 GMT"]
    return (
        "\r\n".join(["HTTP/1.1 200 OK", *lines, *(f"{name}: {value}" for name, value in headers)]).encode()
        + b"\r\n\r\n"
    )


def laid_down(first: bytes, of_object: bytes = b"", beside: bytes = b"") -> Http:
    """Answers to the question for the key, for the object, and for what lies beside."""
    asked = f"/{BUCKET}?list-type=2&prefix="
    return Http(
        {
            f"{asked}{quote(KEY, safe='')}&max-keys=1&encoding-type=url": first,
            f"/{BUCKET}/{KEY}": of_object,
            f"{asked}{quote('nights/' + BEGINNING, safe='')}&encoding-type=url": beside,
        }
    )


@pytest.mark.parametrize(
    ("etag", "headers", "compared"),
    [
        (MD5, [], "its size and its MD5, the ETag"),
        (MD5.upper(), [("x-amz-server-side-encryption", "AES256")], "its size and its MD5, the ETag"),
        (
            "0" * 32,
            [("x-amz-server-side-encryption", "aws:kms")],
            "its size (encrypted with a key of its own, its ETag is no checksum)",
        ),
        (
            "0" * 32,
            [("x-amz-server-side-encryption-customer-algorithm", "AES256")],
            "its size (encrypted with a key of its own, its ETag is no checksum)",
        ),
        (f"{'0' * 32}-3", [], "its size (sent in several parts, its ETag is no checksum)"),
        ("something", [], "its size (its ETag is no checksum)"),
        ("", [], "its size (its ETag is no checksum)"),
    ],
)
def test_an_etag_is_held_against_the_backup_where_it_is_its_md5(
    tmp_path: Path, etag: str, headers: list[tuple[str, str]], compared: str
) -> None:
    with Loopback(laid_down(listing(an_object()), head(etag, *headers))) as server:
        seen = look(amazons(server), tmp_path)
    assert (seen.trouble, seen.compared) == ("", compared)
    assert seen.written == "2026-11-21 02:10"


def test_a_backup_that_is_too_large_to_read_is_held_by_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(off_site, "CHEAP", len(CONTENT) - 1)
    with Loopback(laid_down(listing(an_object()), head("0" * 32))) as server:
        seen = look(amazons(server), tmp_path)
    assert not seen.trouble
    assert "no checksum is reckoned" in seen.compared


def test_who_may_list_and_not_read_sees_the_size(tmp_path: Path) -> None:
    with Loopback(laid_down(listing(an_object()), answer(403))) as server:
        seen = look(amazons(server), tmp_path)
        assert not seen.trouble
        assert seen.compared == "its size (how it is encrypted may not be asked)"
    with Loopback(laid_down(listing(an_object(size=7)), answer(403))) as server:
        assert "has 7 B" in look(amazons(server), tmp_path).trouble


def test_who_may_read_and_not_list_sees_the_object(tmp_path: Path) -> None:
    denied = refusal(403, "AccessDenied")
    with Loopback(laid_down(denied, head(MD5))) as server:
        assert not look(amazons(server), tmp_path).trouble
    with Loopback(laid_down(denied, answer(404))) as server:
        assert "may not be listed" in look(amazons(server), tmp_path).trouble
    with Loopback(laid_down(denied, answer(403))) as server, pytest.raises(CannotTell, match="AccessDenied") as no:
        look(amazons(server), tmp_path)
    assert "s3:ListBucket" in no.value.mend


def test_what_begins_with_the_key_is_not_the_copy(tmp_path: Path) -> None:
    beside = listing(
        *(an_object(f"nights/synk_backup_{n}", at=f"2026-11-{n:02}T00:00:00.000Z") for n in (3, 19, 7)), cut=True
    )
    with Loopback(laid_down(listing(an_object(f"{KEY}.partial")), beside=beside)) as server:
        said = look(amazons(server), tmp_path).trouble
    assert "of the first 3 called" in said
    assert "the newest is nights/synk_backup_19, taken 2026-11-19" in said


def test_a_copy_that_is_missing_is_missing_whatever_else_may_be_asked(tmp_path: Path) -> None:
    with Loopback(laid_down(listing(), beside=refusal(503, "SlowDown"))) as server:
        said = look(amazons(server), tmp_path).trouble
    assert said == f"no copy of {NAME} off site; what else lies there could not be asked (SlowDown)"


@pytest.mark.parametrize(
    ("said", "what", "mend"),
    [
        (refusal(403, "InvalidAccessKeyId"), r"refuses to be read \(InvalidAccessKeyId\)", "offsite.access_key"),
        (refusal(403, "RequestTimeTooSkewed"), "clock is wrong", "timedatectl"),
        (refusal(400, "AuthorizationHeaderMalformed"), "in another region", "offsite.region"),
        (refusal(503, "SlowDown", "x" * 9000), "answered 503 SlowDown: x{200}$", ""),
        (answer(500), r"doesn't answer as S3 does \(status 500\)", ""),
        (answer(404, "<html>Not found</html>"), r"doesn't answer as S3 does \(status 404\)", ""),
        (answer(200, "<html>Welcome</html>"), "doesn't answer as S3 does", ""),
        (answer(200, "Welcome"), "doesn't answer as S3 does", ""),
        (b"220 mail.example ESMTP\r\n", "can't be reached", ""),
    ],
)
def test_an_answer_that_is_none_cannot_tell(tmp_path: Path, said: bytes, what: str, mend: str) -> None:
    replies = laid_down(said)
    with Loopback(replies) as server, pytest.raises(CannotTell, match=what) as no:
        look(amazons(server), tmp_path)
    assert mend in no.value.mend
    assert len(replies.asked) == 1
    assert len(no.value.what) < 400


@pytest.mark.parametrize("behave", [silent, dripping(b"HTTP/1.1 200 OK\r\n\r\n"), dripping(b"HTTP/1.1 200 OK\r\nX: ")])
def test_a_store_that_does_not_come_to_an_end_is_not_waited_for(
    tmp_path: Path, behave: Callable[[socket.socket], None]
) -> None:
    started = time.monotonic()
    with Loopback(behave) as server, pytest.raises(CannotTell, match=r"did not answer within 500 ms"):
        look(amazons(server), tmp_path, seconds=0.5)
    assert time.monotonic() - started < 2
    assert server.connections == 1


def test_a_store_that_is_not_there_cannot_tell(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    where = OffSite(BUCKET, url, "lab", access_key=Secret("AKIA"), secret_key=Secret("a-secret-key"))
    with pytest.raises(CannotTell, match="can't be reached"):
        look(where, tmp_path)


@pytest.mark.parametrize("bucket", ["no such name", "a/b", ".."])
def test_a_bucket_that_cannot_be_cannot_tell(tmp_path: Path, bucket: str) -> None:
    with Loopback(silent) as server, pytest.raises(CannotTell):
        look(amazons(server, bucket), tmp_path, seconds=0.5)


def test_without_its_client_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['botocore'] = None\n"
        "from datetime import UTC, datetime; from pathlib import Path\n"
        "from observe.backups import Backup; from observe.errors import CannotTell\n"
        "from observe.off_site import copy_of; from target.model import OffSite\n"
        "at = datetime.now(UTC)\n"
        "try: copy_of(Backup('x', at, 1, at), Path('x'), OffSite('b'), None, beginning='', seconds=1)\n"
        "except CannotTell as no: print(no, no.mend)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "the client for object stores isn't installed pip install '.[offsite]'\n"
