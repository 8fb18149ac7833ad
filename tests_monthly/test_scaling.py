"""When to scale: the guide's decision tree."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.monthly, pytest.mark.scaling]
