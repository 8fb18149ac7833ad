"""The dynamic scan of a lab: only where it may be made, within its bounds, and left out of what is seen later."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.faults import by_name
from proofs.harness import derived_target, run_suite

if TYPE_CHECKING:
    from pathlib import Path

    from lab.stack import Lab

SLUG = "dynamic-scan"
ALONE = f"expectation(slug='{SLUG}')"


def test_only_a_disposable_target_is_scanned_unless_it_is_said(lab: Lab, tmp_path: Path, history: Path) -> None:
    run = run_suite(lab.target_file, marker=ALONE, history=history)
    assert run.having("holds") == {SLUG}, run.explain()
    looked = re.search(
        r"(\d+) pages of https://\S+, .*; (\d+) requests in .*, by Wapiti ", run.findings[SLUG].looked_at
    )
    assert looked is not None, run.findings[SLUG].looked_at
    assert int(looked[1]) >= 2
    serious = derived_target(lab.target_file, tmp_path, {"disposable": False, "name": "production"})
    log = lab.nginx_logs / "access.log"
    before = log.stat().st_size
    run = run_suite(serious, marker=ALONE, history=history)
    assert run.status == 0, run.explain()
    assert run.having("set aside") == {SLUG}
    assert "pytest -m quarterly --allow-scan=production" in run.html
    for target, options in (
        (serious, ("--allow-scan",)),
        (lab.target_file, ("--allow-scan=production",)),
        (serious, ("--allow-scan=production", "--now", "2026-11-23T09:00")),
    ):
        run = run_suite(target, *options, marker=ALONE, history=history)
        assert run.status == 4, run.explain()
        said = " ".join(run.terminal.split())
        name = "production" if target == serious else lab.name
        assert "leave one of them out" in said if "--now" in options else f"type --allow-scan={name}" in said
    assert log.stat().st_size == before, "nobody asked anything"
    run = run_suite(serious, "--allow-scan=production", marker=ALONE, history=history)
    assert run.having("holds") == {SLUG}, run.explain()


def test_a_scan_that_was_cut_or_not_made_is_not_told(lab: Lab, tmp_path: Path, history: Path) -> None:
    cut = derived_target(lab.target_file, tmp_path, {"scan.requests": 2})
    run = run_suite(cut, marker=ALONE, history=history)
    assert run.blind == {SLUG}, run.explain()
    assert "ended before its end, after 2 requests: scan.requests was reached" in " ".join(run.terminal.split())
    without = derived_target(lab.target_file, tmp_path, {"scan.wapiti": "no-such-wapiti"})
    run = run_suite(without, marker=ALONE, history=history)
    assert run.blind == {SLUG}, run.explain()
    assert "apt-get install wapiti" in " ".join(run.terminal.split())


def test_who_looks_afterwards_does_not_see_the_scan(lab: Lab, history: Path) -> None:
    with by_name("reflected-script").applied(lab):
        run = run_suite(lab.target_file, marker=ALONE, history=history)
        assert run.broken == {SLUG}, run.explain()
        finding = run.findings[SLUG]
        assert re.search(r"Cross Site Scripting \(medium\) at GET /api/lab/greet/, parameter name", finding.seen)
        assert any("Not Found: /api/lab/greet/" in said for said in logged(lab)), "the scanner made a page up"
        slugs = ("log-anomalies", "error-rate", "exploit-probes", "rate-limit-quiet")
        marker = " or ".join(f"expectation(slug='{slug}')" for slug in slugs)
        run = run_suite(lab.target_file, marker=marker, history=history)
        assert run.having("holds") >= set(slugs), run.explain()


def logged(lab: Lab) -> list[str]:
    return [one.logs(tail=200).decode(errors="replace") for one in lab.containers("backend")]
