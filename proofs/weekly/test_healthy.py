"""On the healthy lab every weekly expectation holds, each with what it looked at."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from proofs.harness import derived_target, run_suite, says_what_it_saw, slugs
from proofs.relay import Relay

if TYPE_CHECKING:
    from pathlib import Path

    from lab.stack import Lab

MONDAY = {"log-anomalies", "backups-daily", "deployed-as-written", "response-time"}
FRIDAY = {"backup-intact", "backup-complete", "certificate-lasts", "certificate-served", "rate-limit-quiet"}
SLUGS = MONDAY | FRIDAY
"""Every weekly slug."""


def test_everything_holds_and_says_what_it_looked_at(lab: Lab, history: Path) -> None:
    run = run_suite(lab.target_file, marker="weekly", history=history)
    assert run.status == 0, run.explain()
    assert slugs(run.having("holds")) == SLUGS
    assert len(run.having("holds")) == len(run.findings)
    says_what_it_saw(run)


def test_the_items_are_the_weeks_days_the_services_and_both_certificates(lab: Lab, history: Path) -> None:
    run = run_suite(lab.target_file, marker="weekly", history=history)
    items = Counter(one.partition("[")[0] for one in run.findings)
    assert items["backups-daily"] == 7
    assert items["deployed-as-written"] == len(lab.wanted())
    assert {one for one in run.findings if one.startswith("certificate-lasts")} == {
        "certificate-lasts[disk]",
        "certificate-lasts[served]",
    }


def test_a_part_can_be_asked_for(lab: Lab, history: Path) -> None:
    for marker, wanted in (("monday", MONDAY), ("weekly and friday", FRIDAY)):
        run = run_suite(lab.target_file, marker=marker, history=history)
        assert run.status == 0, run.explain()
        assert slugs(run.having("holds")) == wanted


def test_two_workers_look_at_the_same(lab: Lab, history: Path) -> None:
    alone, shared = (run_suite(lab.target_file, *more, marker="weekly", history=history) for more in ((), ("-n", "2")))
    assert shared.status == 0, shared.explain()
    assert set(alone.findings) == set(shared.findings)


def test_one_look_at_each_thing_serves_the_whole_run(lab: Lab, tmp_path: Path, history: Path) -> None:
    sock = tmp_path / "engine.sock"
    with Relay(("127.0.0.1", lab.https_port)) as https, Relay("/var/run/docker.sock", unix=sock) as engine:
        changes = {"site.connect_to": https.address, "engine.url": f"unix://{sock}"}
        run = run_suite(derived_target(lab.target_file, tmp_path, changes), marker="weekly", history=history)
    assert run.status == 0, run.explain()
    assert https.accepted == 1, "one handshake shows the certificate"
    asked = Counter(re.findall(rb"(?m)^([A-Z]+ /\S+) HTTP/1\.[01]\r$", engine.heard))
    assert {request.split()[0] for request in asked} <= {b"GET", b"HEAD"}, "the engine is only read"
    assert sum(number for request, number in asked.items() if b"/containers/json?" in request) == 1
    inspected = [
        number for request, number in asked.items() if re.search(rb"/(containers|images)/[^/]+/json$", request)
    ]
    assert inspected
    assert set(inspected) == {1}, "each container and each image is inspected once"


def test_the_first_look_at_the_logs_makes_the_baseline_and_says_so(lab: Lab, tmp_path: Path) -> None:
    history = tmp_path / "history.sqlite"
    first = run_suite(lab.target_file, "-k", "nothing_new", marker="weekly", history=history)
    assert first.blind == {"log-anomalies"}, first.explain()
    assert "first look has made the baseline" in first.terminal
    second = run_suite(lab.target_file, "-k", "nothing_new", marker="weekly", history=history)
    assert second.having("holds") == {"log-anomalies"}, second.explain()
    assert "all known" in second.findings["log-anomalies"].seen
