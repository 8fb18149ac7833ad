"""The copy of a backup in an object store that speaks S3: is it there, and is it the same?

Serves the guide's copies of old backups in S3. The store is only read: two or three requests, LIST and HEAD, without a
retry, under one time limit of our own.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from observe.deadline import TimeIsUp, within
from observe.errors import CannotTell
from target.kinds import say_bytes, say_span

if TYPE_CHECKING:
    from datetime import tzinfo
    from pathlib import Path

    from observe.backups import Backup
    from target.kinds import Secret
    from target.model import OffSite

CAUSE = "offsite"
CHEAP = 256 * 1024**2
"""Bytes of the largest backup that is read to hold its checksum against the copy's."""
_MD5 = re.compile(r"[0-9a-f]{32}")
_REFUSED = frozenset({401, 403})
_ELSEWHERE = frozenset({"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed"})
_KEYS = "Give offsite.access_key and offsite.secret_key_file, or the store's usual ones: AWS_ACCESS_KEY_ID, ~/.aws."
_RIGHTS = (
    "Check offsite.access_key and its secret key; it needs to read and no more: "
    "s3:ListBucket on the bucket, s3:GetObject on what lies in it."
)
_REACH = "Is offsite.url right, and does a firewall or a proxy stand between?"


@dataclass(frozen=True)
class Copy:
    """What there is off site of one backup.

    Attributes:
        backup: The backup.
        place: Where its copy lies or should, as `s3://bucket/key`.
        trouble: Why it is no copy, in words; empty when it is one.
        compared: What was held against the backup's own; empty when there is nothing to.
        written: When the store took it, in words; empty when there is none.
    """

    backup: Backup
    place: str
    trouble: str
    compared: str = ""
    written: str = ""

    @property
    def said(self) -> str:
        """What was seen."""
        return self.trouble or f"{self.backup.name} has its copy off site, by {self.compared}"

    def rows(self) -> list[dict[str, str]]:
        """It, for the report."""
        return [
            {
                "backup": self.backup.name,
                "off site": self.place,
                "taken": self.written or "-",
                "compared": self.compared or "-",
                "outcome": self.trouble or "the same",
            }
        ]


@dataclass(frozen=True)
class _Object:
    """What the store says of an object: its size in bytes, when it took it, and why it says no checksum."""

    size: int
    written: str
    md5: str = ""
    no_md5: str = ""


def copy_of(
    backup: Backup, file: Path, settings: OffSite, secret_key: Secret | None, *, beginning: str, seconds: float
) -> Copy:
    """Look for the copy of a backup.

    Args:
        backup: The backup.
        file: Where it lies on this machine.
        settings: The store.
        secret_key: The secret that goes with its access key; None for what the store's usual variables and files say.
        beginning: How the names of all backups begin; what lies there instead is looked for by it.
        seconds: Total time limit, in seconds.

    Raises:
        CannotTell: If the store can't be reached, refuses, doesn't answer in time or isn't one; or its client isn't
            installed.
    """
    store = said_of(settings)
    installed(settings)
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        return within(
            seconds, lambda: _look(client_of(settings, secret_key, seconds), backup, file, settings, beginning)
        )
    except ClientError as error:
        raise refused(store, error.response) from None
    except (TimeIsUp, BotoCoreError, ResponseParserError, ValueError, OSError) as error:
        raise failed(store, error, seconds) from None


def _look(client: Any, backup: Backup, file: Path, settings: OffSite, beginning: str) -> Copy:  # noqa: ANN401
    key = f"{settings.prefix}{backup.name}"
    place = f"s3://{settings.bucket}/{key}"
    found = _find(client, settings, key, beginning, backup.at.tzinfo)
    if isinstance(found, str):
        return Copy(backup, place, found)
    compared = f"its size ({found.no_md5})" if found.no_md5 else "its size"
    if found.size != backup.size:
        trouble = f"the copy {place} has {found.size:,} B, {backup.name} has {backup.size:,} B"
        return Copy(backup, place, trouble, compared, found.written)
    if not found.md5:
        return Copy(backup, place, "", compared, found.written)
    own, why = _md5_of(file, backup.size)
    if not own:
        return Copy(backup, place, "", f"its size ({why})", found.written)
    differs = f"the copy {place} has the size of {backup.name}, and another content (its ETag is another MD5)"
    return Copy(backup, place, differs if own != found.md5 else "", "its size and its MD5, the ETag", found.written)


def _find(
    client: Any,  # noqa: ANN401
    settings: OffSite,
    key: str,
    beginning: str,
    zone: tzinfo | None,
) -> _Object | str:
    """The object of that key, or why there is none."""
    from botocore.exceptions import ClientError

    bucket = settings.bucket
    try:
        answer = client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    except ClientError as refused:
        if code_of(refused.response) == "NoSuchBucket":
            return f"the store has no bucket {bucket}"
        if code_of(refused.response) != "AccessDenied":
            raise
        return _unlisted(client, settings, key, zone, refused)
    if "Name" not in answer:
        raise CannotTell(f"{said_of(settings)} doesn't answer as S3 does", mend=_REACH, cause=CAUSE)
    listed = next((one for one in answer.get("Contents", ()) if one["Key"] == key), None)
    if listed is None:
        return f"no copy of {key.removeprefix(settings.prefix)} off site; {_beside(client, settings, beginning, zone)}"
    try:
        return _head(client, bucket, key, zone)
    except ClientError:
        # It takes rights of its own, and with an object under a customer's key that key.
        at = listed["LastModified"].astimezone(zone)
        return _Object(listed["Size"], f"{at:%Y-%m-%d %H:%M}", no_md5="how it is encrypted may not be asked")


def _unlisted(
    client: Any,  # noqa: ANN401
    settings: OffSite,
    key: str,
    zone: tzinfo | None,
    refused: Exception,
) -> _Object | str:
    """The object of that key, where the bucket may not be listed: Amazon then refuses what isn't there as well."""
    from botocore.exceptions import ClientError

    try:
        return _head(client, settings.bucket, key, zone)
    except ClientError as error:
        if status_of_answer(error.response) == 404:
            return f"no copy of {key.removeprefix(settings.prefix)} off site (what is there may not be listed)"
        raise refused from None


def _head(client: Any, bucket: str, key: str, zone: tzinfo | None) -> _Object:  # noqa: ANN401
    answer = client.head_object(Bucket=bucket, Key=key)
    etag, encryption = answer.get("ETag", "").strip('"').lower(), answer.get("ServerSideEncryption", "AES256")
    if encryption != "AES256" or "SSECustomerAlgorithm" in answer:
        why = "encrypted with a key of its own, its ETag is no checksum"
    elif not _MD5.fullmatch(etag):
        why = "sent in several parts, its ETag is no checksum" if "-" in etag else "its ETag is no checksum"
    else:
        why = ""
    at = answer["LastModified"].astimezone(zone)
    return _Object(answer["ContentLength"], f"{at:%Y-%m-%d %H:%M}", "" if why else etag, why)


def _beside(client: Any, settings: OffSite, beginning: str, zone: tzinfo | None) -> str:  # noqa: ANN401
    """What lies there instead, in words: it tells a wrong prefix from copying that has stopped."""
    from botocore.exceptions import ClientError

    alike = f"{settings.prefix}{beginning}"
    try:
        answer = client.list_objects_v2(Bucket=settings.bucket, Prefix=alike)
    except ClientError as error:
        return f"what else lies there could not be asked ({code_of(error.response)})"
    objects = answer.get("Contents", ())
    under = f"s3://{settings.bucket}/{alike}"
    if not objects:
        return f"nothing at all is called {under}…"
    newest = max(objects, key=lambda one: one["LastModified"])
    at = newest["LastModified"].astimezone(zone)
    of = f"the first {len(objects):,}" if answer.get("IsTruncated") else f"{len(objects):,}"
    return f"of {of} called {under}… the newest is {newest['Key'][:200]}, taken {at:%Y-%m-%d %H:%M}"


def _md5_of(file: Path, size: int) -> tuple[str, str]:
    """The file's MD5, or nothing and why."""
    if size > CHEAP:
        return "", f"of more than {say_bytes(CHEAP)} no checksum is reckoned"
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest(), ""
    except OSError as error:
        return "", f"the backup itself can't be read: {error.strerror}"


def client_of(settings: OffSite, secret_key: Secret | None, seconds: float, *, attempts: int = 1) -> Any:  # noqa: ANN401
    """A client of the store; nothing is asked by this.

    Args:
        settings: The store.
        secret_key: The secret that goes with its access key; None for what the store's usual variables and files say.
        seconds: Time limit of a connection and of a read, in seconds.
        attempts: How often a request is tried.
    """
    from botocore.config import Config
    from botocore.session import Session

    access_key = settings.access_key
    return Session().create_client(
        "s3",
        region_name=settings.region or None,
        endpoint_url=settings.url or None,
        verify=str(settings.ca_file) if settings.ca_file is not None else None,
        aws_access_key_id=access_key.reveal() if access_key is not None else None,
        aws_secret_access_key=secret_key.reveal() if secret_key is not None else None,
        config=Config(
            connect_timeout=seconds,
            read_timeout=seconds,
            retries={"total_max_attempts": attempts, "mode": "standard"},
            response_checksum_validation="when_required",  # parts of an object have no checksum of their own
        ),
    )


def installed(settings: OffSite) -> None:
    """See whether the store can be asked at all.

    Raises:
        CannotTell: If its client isn't installed, or its CA can't be read.
    """
    try:
        import botocore.session  # noqa: F401
    except ImportError:
        raise CannotTell(
            "the client for object stores isn't installed", mend="pip install '.[offsite]'", cause=CAUSE
        ) from None
    if settings.ca_file is not None and not os.access(settings.ca_file, os.R_OK):
        store = said_of(settings)
        raise CannotTell(
            f"the CA of {store} can't be read: {settings.ca_file}", mend="Mend offsite.ca_file.", cause=CAUSE
        )


def said_of(settings: OffSite) -> str:
    """The store in words."""
    return f"the object store {settings.url}" if settings.url else "Amazon S3"


def code_of(response: dict[str, Any]) -> str:
    """What S3 calls an error; empty where it has no name."""
    return str(response.get("Error", {}).get("Code", ""))[:100]


def status_of_answer(response: dict[str, Any]) -> int:
    """An answer's HTTP status; 0 where there is none."""
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def refused(store: str, response: dict[str, Any]) -> CannotTell:
    """What an answer that is an error means."""
    code, status = code_of(response), status_of_answer(response)
    if code == "RequestTimeTooSkewed":
        return CannotTell(f"{store} refuses: this machine's clock is wrong", mend="See `timedatectl`.", cause=CAUSE)
    if code in _ELSEWHERE:
        return CannotTell(f"{store} has the bucket in another region ({code})", mend="Set offsite.region.", cause=CAUSE)
    if status in _REFUSED:
        return CannotTell(f"{store} refuses to be read ({code})", mend=_RIGHTS, cause=CAUSE)
    if not code or code.isdigit():
        return CannotTell(f"{store} doesn't answer as S3 does (status {status})", mend=_REACH, cause=CAUSE)
    message = str(response.get("Error", {}).get("Message", ""))[:200]
    return CannotTell(f"{store} answered {status} {code}: {message}", mend=_REACH, cause=CAUSE)


def failed(store: str, error: Exception, seconds: float) -> CannotTell:
    """What it means that there was no answer within so many seconds, or none that could be read."""
    from botocore import exceptions as known
    from botocore.parsers import ResponseParserError

    if isinstance(error, TimeIsUp | known.ConnectTimeoutError | known.ReadTimeoutError):
        what = f"{store} did not answer within {say_span(timedelta(seconds=seconds))}"
        return CannotTell(what, mend=_REACH, cause=CAUSE)
    if isinstance(error, known.SSLError):
        what, mend = f"{store} isn't trusted: its certificate doesn't hold", "Give its CA as offsite.ca_file."
        return CannotTell(what, mend=mend, cause=CAUSE)
    if isinstance(error, known.HTTPClientError | known.ConnectionError):
        return CannotTell(f"{store} can't be reached ({type(error).__name__})", mend=_REACH, cause=CAUSE)
    no_keys = (known.NoCredentialsError, known.PartialCredentialsError, known.ProfileNotFound)
    if isinstance(error, (*no_keys, known.CredentialRetrievalError)):
        return CannotTell(f"there are no keys for {store}: {str(error)[:200]}", mend=_KEYS, cause=CAUSE)
    if isinstance(error, ResponseParserError):
        return CannotTell(f"{store} doesn't answer as S3 does", mend=_REACH, cause=CAUSE)
    mend = "Check [offsite] in the target."
    return CannotTell(f"{store} can't be asked: {str(error)[:200]}", mend=mend, cause=CAUSE)
