"""From a model and a board's name to linked firmware, as the verbs that need no figures do it."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcuml.build import Image
    from mcuml.plan import Plan


def firmware(
    model: Path,
    board: str,
    quiet: bool,
    folder: Path | None = None,
    simulated: bool = False,
    optimize: str = "balanced",
    tuned: Path | None = None,
    suite: str = "",
    energy: bool = False,
) -> "tuple[Plan, Image]":
    """Build for `board` ("": the default one) in `folder` (None: in the cache). `simulated` asks for a simulator as well; `suite`
    and `energy` for a device of that MLPerf Tiny test, in that mode."""
    from mcuml import bench, build
    from mcuml.board import load
    from mcuml.cli._console import stages
    from mcuml.cli._defaults import default_board
    from mcuml.cli._options import prepare
    from mcuml.fit import check_fit
    from mcuml.link.virtual import check_simulated
    from mcuml.run import suites

    test = suites.find(suite) if suite else None
    target = load(board or default_board())
    if simulated:
        check_simulated(target)
    with stages(quiet) as progress:
        progress("read the model and plan its memory")
        plan = prepare(model, optimize, tuned, target.core)
        check_fit(plan, target)
        progress("build")
        return plan, build.build_firmware(bench.firmware_files(plan, target, test, energy), target, folder)
