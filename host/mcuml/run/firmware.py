"""The firmware's configuration header: what a board, a model and the protocol's constants make of it."""

from __future__ import annotations

import re

from mcuml import __version__
from mcuml.render import render_file
from mcuml.run import protocol
from mcuml.run.suites import Suite


def config_header(
    *,
    board: str,
    vendor: str,
    clock_hz: int,
    model_id: str,
    model_sha256: str,
    input_bytes: int,
    baud: int = protocol.DEFAULT_BAUD,
    suite: Suite | None = None,
    energy: bool = False,
) -> str:
    """Text of mcuml_config.h. `input_bytes` is the sum over all inputs of the model. `suite`: the MLPerf Tiny test whose input
    and result the device has; `energy`: timestamps go to the trigger pin. Names lose what a C string or a reply in brackets
    cannot hold."""
    plain = {k: re.sub(r"[^A-Za-z0-9_.+ -]", "_", v) for k, v in (("board", board), ("vendor", vendor), ("model_id", model_id))}
    return render_file(
        "mcuml_config.h.j2", protocol=protocol, version=__version__, clock_hz=clock_hz, model_sha256=model_sha256,
        input_bytes=input_bytes, baud=baud, suite=suite, energy=energy, **plain,
    )  # fmt: skip
