"""Which target is meant: one rule for the suite and for the commands beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target.load import TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LAB = "synklab"


def target_file(given: str, *, root: Path, directory: Path, environment: Mapping[str, str]) -> Path:
    """The target that is meant: what was given, else `OPS_TARGET`, else `target.toml` in the project's root.

    Args:
        given: What `--target` was given: a file, `lab`, or nothing.
        root: The project's root.
        directory: What a relative file is relative to.
        environment: Where `OPS_TARGET` and `LAB` are looked up.

    Raises:
        TargetError: If there is none, with the ways out.
    """
    given = given or environment.get("OPS_TARGET", "")
    if given == "lab":
        name = environment.get("LAB") or LAB
        file = root / ".lab" / name / "target.toml"
        if not file.is_file():
            raise TargetError(
                f"the lab {name!r} isn't standing. `make lab-up` brings it up; another lab is named with LAB=…"
            )
        return file
    if given:
        return directory / given
    file = root / "target.toml"
    if not file.exists():
        raise TargetError(
            "no target: nothing says which system is meant. Either copy target.example.toml to "
            "target.toml and fill it in (or name a file with --target FILE or OPS_TARGET), "
            "or try it on the suite's own lab: make lab-up, then --target lab."
        )
    return file
