"""The list of the suite's plugins, nothing else. Its options are in `report/options.py`, which says why."""

pytest_plugins = [
    "report.plugin",
    "fixtures.parameters",
    "fixtures.target",
    "fixtures.host",
    "fixtures.containers",
    "fixtures.database",
    "fixtures.site",
    "fixtures.logs",
    "fixtures.dependencies",
    "fixtures.restore",
    "fixtures.records",
    "fixtures.usage",
    "fixtures.performance",
    "fixtures.storage",
    "fixtures.scaling",
    "fixtures.readiness",
    "fixtures.archive",
    "fixtures.on_call",
    "fixtures.drills",
]
