"""The quarter's security review. Containers and the ports that they publish."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.quarterly, pytest.mark.security]
