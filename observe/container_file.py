"""A file of a container, read through the engine: nothing is executed in there."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

from observe.errors import CannotTell
from target.kinds import say_bytes

if TYPE_CHECKING:
    import docker


def content(client: docker.DockerClient, container: str, path: str, most: int, name: str) -> bytes | None:
    """What is in a file of a container; None if there is no such file.

    Args:
        client: The engine's client, within a question to the engine, which limits the time.
        container: The container's id.
        path: The file's path in there.
        most: How many bytes it may have, packed as the engine hands it over.
        name: What the file is, for whoever reads that it is too long.

    Raises:
        CannotTell: If it is longer.
    """
    from docker.errors import NotFound

    try:
        blocks, _ = client.api.get_archive(container, path)
    except NotFound:
        return None
    packed = bytearray()
    for block in blocks:
        packed += block
        if len(packed) > most:
            raise CannotTell(f"{name} is longer than {say_bytes(most)}")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        first = archive.next()
        file = archive.extractfile(first) if first is not None and first.isfile() else None
        return None if file is None else file.read()
