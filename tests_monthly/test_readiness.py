"""What is needed on a bad day: maintenance commands, room, connections, drills, runbooks, the alert route."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.monthly, pytest.mark.readiness]
