"""The lab's command line: python -m lab up | down | status | engine | week, and python -m lab other up | down | status.

`other` is the second stack, of another shape: see `lab.other`.
"""

from __future__ import annotations

import argparse
import os
import sys

from lab.engine import ensure_engine
from lab.other import DEFAULT_NAME as OTHER_NAME
from lab.other import OtherStack
from lab.progress import LabError, say
from lab.stack import DEFAULT_NAME, Lab


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0 done, 1 failed (`status`: not healthy), 2 wrongly asked.
    """
    parser = argparse.ArgumentParser(prog="python -m lab", description="A disposable real stack to check.")
    parser.add_argument("command", choices=("up", "down", "status", "engine", "week", "other"))
    parser.add_argument("action", nargs="?", choices=("up", "down", "status"), help="what to do with the `other` stack")
    parser.add_argument(
        "--name",
        default=os.environ.get("LAB"),
        help=f"default: $LAB, else {DEFAULT_NAME}, and {OTHER_NAME} for `other`",
    )
    parser.add_argument("--keep-images", action="store_true", help="down: leave the images for the next up")
    options = parser.parse_args(arguments)
    if (options.command == "other") != (options.action is not None):
        parser.error("`other` takes one of up, down, status, and nothing else does")
    try:
        if options.command == "other":
            return _other(options.action, OtherStack(options.name or OTHER_NAME), keep_images=options.keep_images)
        return _run(options.command, Lab(options.name or DEFAULT_NAME), keep_images=options.keep_images)
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


def _other(action: str, stack: OtherStack, *, keep_images: bool) -> int:
    from lab.other import bring_up

    if action == "up":
        bring_up.up(stack)
    elif action == "down":
        there = bring_up.down(stack, keep_images=keep_images)
        say(f"the other stack {stack.name}: {'gone' if there else 'there was nothing'}")
    else:
        stack.state()  # says how to bring it up, where it was never
        complaints = bring_up.complaints_of(stack)
        say("; ".join(complaints) or f"healthy: https://{stack.domain}/ on {stack.connect_to}")
        return 1 if complaints else 0
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
