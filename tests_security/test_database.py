"""The quarter's security review. The database: who may log in, what they may do, whether it lies encrypted."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.quarterly, pytest.mark.security]
