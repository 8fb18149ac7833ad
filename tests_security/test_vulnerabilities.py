"""The quarter's security review. Known vulnerabilities of what is installed."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.quarterly, pytest.mark.security]
