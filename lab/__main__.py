"""The lab's command line: python -m lab up | down | status | engine | week."""

from __future__ import annotations

import argparse
import os
import sys

from lab.engine import ensure_engine
from lab.progress import LabError, say
from lab.stack import DEFAULT_NAME, Lab


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0 done, 1 failed (`status`: not healthy), 2 wrongly asked.
    """
    parser = argparse.ArgumentParser(prog="python -m lab", description="A disposable real stack to check.")
    parser.add_argument("command", choices=("up", "down", "status", "engine", "week"))
    parser.add_argument("--name", default=os.environ.get("LAB") or DEFAULT_NAME, help="default: $LAB, else %(default)s")
    parser.add_argument("--keep-images", action="store_true", help="down: leave the images for the next up")
    options = parser.parse_args(arguments)
    try:
        return _run(options.command, Lab(options.name), keep_images=options.keep_images)
    except LabError as failed:
        sys.stderr.write(f"lab: {failed}\n")
        return 1


def _run(command: str, lab: Lab, *, keep_images: bool) -> int:
    from lab import bring_up

    if command == "engine":
        say(f"Docker engine: {ensure_engine()}")
    elif command == "up":
        bring_up.up(lab)
    elif command == "down":
        there = bring_up.down(lab, keep_images=keep_images)
        say(f"lab {lab.name}: {'gone' if there else 'there was nothing'}")
    elif command == "week":
        return _week(lab)
    else:
        return _status(lab)
    return 0


def _week(lab: Lab) -> int:
    """Have seven nights on the lab, with faults on some of them, and say how to look at their review."""
    from lab.nights import WEEK, week

    if complaints := lab.unhealthy():
        say("; ".join(complaints))
        return 1
    for night in WEEK:
        say(f"{night.ago} days ago: {', '.join(night.faults) or 'nothing is wrong'}")
    file = week(lab)
    say(f"OPS_REPORT__HISTORY='{file}' make weekly-review TARGET='{lab.target_file}'")
    return 0


def _status(lab: Lab) -> int:
    if not lab.compose_file.exists():
        say(f"lab {lab.name} does not stand; bring it up with: python -m lab up")
        return 1
    for container in lab.containers():
        state = container.attrs["State"]
        health = state.get("Health", {}).get("Status", "no health check")
        say(f"{container.name:32} {state['Status']:12} {health}")
    complaints = lab.unhealthy()
    say("; ".join(complaints) or f"healthy: https://{lab.domain}/ on 127.0.0.1:{lab.https_port}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
