"""The quarter's security review. The last ninety days of the access log."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.quarterly, pytest.mark.security]
