"""When storage grows too fast: what takes the room, what may go."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.monthly, pytest.mark.storage]
