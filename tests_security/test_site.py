"""The quarter's security review. The site as an attacker sees it."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.quarterly, pytest.mark.security]
