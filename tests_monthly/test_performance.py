"""When response times are high: what is slow, and why."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.monthly, pytest.mark.performance]
