"""What the proofs of several observations stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proofs.observe.servers import Authority

if TYPE_CHECKING:
    import ssl


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A throw-away CA for servers on loopback."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def tls(authority: Authority) -> ssl.SSLContext:
    """What such a server speaks TLS with."""
    return authority.context()
