"""The files that a run leaves for other programs. One that can't be written is said, and changes no outcome."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from _pytest.junitxml import xml_key

from report.history_file import HistoryError
from report.set_aside import judged

if TYPE_CHECKING:
    import pytest

    from report.changes import Past
    from report.chronicle import Latest
    from report.run import Run

_REVIEW = Path("reports/{cadence}-{time}.md")


def write_outputs(config: pytest.Config, run: Run) -> None:
    """Write the JSON and, where they are asked for, Markdown and metrics; complete the XML that pytest is to write.

    Args:
        config: pytest's, of the process that has all results.
        run: The run, which is over.
    """
    if not run.results or config.option.collectonly:
        return
    _label_xml(config, run)
    report = run.loaded.target.report
    if report.metrics is not None and not run.review:
        _write_metrics(run, run.report_file(report.metrics))
    if (path := report.markdown or (_REVIEW if run.review else None)) is not None:
        _write_markdown(config, run, run.report_file(path))
    # The last, so that it has the warnings of the others.
    _write_json(run, run.report_file(report.json))


def _write_markdown(config: pytest.Config, run: Run, path: Path) -> None:
    from report.html import beside
    from report.markdown import page
    from report.plugin import GUIDE
    from report.write import write_whole

    try:
        guide: dict[str, str] = config.stash.get(GUIDE, {})
        known = beside(run, guide)
        results, facts = run.told()
        said = page(results, facts, known.past, known.guide, _what_if(config, run, known.past))
        write_whole(path, said.encode())
    except (OSError, ValueError, TypeError) as error:
        run.warn(f"the Markdown report could not be written to {path}: {_why(error)}")


def _what_if(config: pytest.Config, run: Run, past: Past | None) -> list[str]:
    asked = config.getoption("what_if")
    if not asked or past is None:
        return []
    from report.what_if import answers, parse, sentences

    return sentences(answers(parse(asked), past.points), run.clock.zone)


def _label_xml(config: pytest.Config, run: Run) -> None:
    """Say in the XML which run it is; pytest offers no other way but a fixture."""
    if (xml := config.stash.get(xml_key, None)) is not None:
        _, facts = run.told()
        for name in ("target", "cadence", "token", "started", "host_zone", "version"):
            xml.add_global_property(name, str(facts[name]))


def _write_json(run: Run, path: Path) -> None:
    from report.ctrf import document
    from report.write import write_whole

    try:
        write_whole(path, document(*run.told()))
    except (OSError, ValueError, TypeError) as error:
        run.warn(f"the JSON report could not be written to {path}: {_why(error)}")


def _write_metrics(run: Run, path: Path) -> None:
    if run.clock.fixed is not None:
        run.warn(f"--now: the metrics in {path} stay as they are, since they tell how it stands at this time")
        return
    try:
        from report.metrics import exposition
    except ImportError as error:
        run.warn(
            f"the metrics could not be written to {path}: {error}; install the extra `metrics`, or leave "
            "report.metrics out of the settings"
        )
        return
    from report.chronicle import newest
    from report.write import write_whole

    try:
        write_whole(path, exposition(run.loaded.target.name, newest(_looks(run))))
    except (OSError, ValueError, TypeError) as error:
        run.warn(f"the metrics could not be written to {path}: {_why(error)}")


def _looks(run: Run) -> list[Latest]:
    """What earlier runs found, by today's waivers, and what this one found."""
    from report.chronicle import FinishedRun, Latest
    from report.metrics import KEPT

    looks: list[Latest] = []
    if run.keeps_history:
        try:
            earlier = run.chronicle.latest(datetime.now(UTC) - KEPT)
        except HistoryError as error:
            run.warn(f"the metrics have what this run found alone: {error}")
            earlier = []
        looks = [
            one._replace(result=judged(one.result, run.waivers, run.today))
            for one in earlier
            if one.run.token != run.token
        ]
    results, facts = run.told()
    this = FinishedRun.of(facts)
    return [*looks, *(Latest(this, result) for result in results)]


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
