"""The Joulescope JS220, through its maker's library pyjoulescope_driver (the extra "joulescope").

Topics and the form of their values: that library's record.py and binding. No instrument was here to try it with; the order of the
bits within a byte of the digital input is taken to be lowest first, as in the maker's file format, and was not checked."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np

from mcuml.errors import LinkError
from mcuml.instruments.base import Instrument, Recording

RATE_HZ = 1000  # of the recording: the official runner's
OPEN_S = 5.0
POWER, PIN = "s/p", "s/gpi/0"  # each has ctrl (on or off) and !data (blocks of samples)


class Js220(Instrument):
    """The only JS220 on this computer's USB. It sits between a supply and the device; it gives no power of its own. Raises
    LinkError: the library is not installed, no instrument, several."""

    name = "Joulescope JS220"

    def __init__(self) -> None:
        try:
            from pyjoulescope_driver import Driver
        except ImportError as error:
            raise LinkError(
                "The library of the Joulescope JS220 is not installed.", str(error), "Type: pip install 'mcuml[joulescope]'"
            ) from error
        self._blocks: dict[str, list[tuple[int, int, int, np.ndarray]]] = {POWER: [], PIN: []}
        self._stack = ExitStack()
        try:
            self._driver = self._stack.enter_context(Driver())
            paths = [path for path in self._driver.device_paths() if "js220" in path]
            if len(paths) != 1:
                raise LinkError(
                    f"There are {len(paths)} Joulescopes JS220." if paths else "There is no Joulescope JS220.",
                    f"On USB: {', '.join(paths) or 'none'}.",
                    "Connect one, and close the Joulescope UI.",
                )
            self._path = paths[0]
            self._driver.open(self._path, timeout=OPEN_S)
            self._stack.callback(self._driver.close, self._path)
            self._driver.publish(f"{self._path}/s/i/range/mode", "auto")
            for stream in self._blocks:
                self._driver.subscribe(f"{self._path}/{stream}/!data", ["pub"], self._receive)
        except LinkError:
            self._stack.close()
            raise
        except Exception as error:  # whatever the library raises: it documents RuntimeError and TimeoutError
            self._stack.close()
            raise LinkError(
                "The Joulescope JS220 cannot be opened.", f"{type(error).__name__}: {error}",
                "Unplug it and plug it in again; close the Joulescope UI.",
            ) from error  # fmt: skip

    def start(self) -> None:
        for blocks in self._blocks.values():
            blocks.clear()
        self._switch(1)

    def stop(self) -> Recording:
        self._switch(0)
        power, pin = self._blocks[POWER], self._blocks[PIN]
        if not power or not pin:
            missing = "power" if not power else "its digital input"
            raise LinkError(f"The Joulescope JS220 sent nothing of {missing}.", "", "Unplug it and plug it in again.")
        return recording(power, pin)

    def close(self) -> None:
        self._stack.close()

    def _switch(self, on: int) -> None:
        try:
            for stream in self._blocks:
                self._driver.publish(f"{self._path}/{stream}/ctrl", on)
        except Exception as error:
            raise LinkError(
                "The Joulescope JS220 does not answer.", f"{type(error).__name__}: {error}", "Unplug it and plug it in again."
            ) from error

    def _receive(self, topic: str, value: dict[str, Any]) -> None:
        """A block of samples, in the library's thread."""
        stream = PIN if topic.endswith(f"{PIN}/!data") else POWER
        self._blocks[stream].append((value["sample_id"], value["decimate_factor"], value["sample_rate"], value["data"]))


def recording(power: list[tuple[int, int, int, np.ndarray]], pin: list[tuple[int, int, int, np.ndarray]]) -> Recording:
    """Joules a millisecond and falling edges, from blocks (number of the first sample at full rate, samples of the full rate per
    sample, full rate in Hz, values): power float32 in watts, the pin eight samples a byte. Lost samples become NaN."""
    origin, step, rate, _ = power[0]
    watts = _joined(power, origin)
    each = rate // step // RATE_HZ
    whole = len(watts) // each * each
    joules = watts[:whole].reshape(-1, each).sum(axis=1, dtype=np.float64) * step / rate
    bits = _joined([(at, s, r, np.unpackbits(data, bitorder="little").astype(np.float32)) for at, s, r, data in pin], pin[0][0])
    falls = np.flatnonzero((bits[:-1] == 1) & (bits[1:] == 0)) + 1
    places = (falls * pin[0][1] + pin[0][0] - origin) * RATE_HZ / rate
    return Recording(joules, tuple(round(at) for at in places if 0 <= at <= len(joules)), RATE_HZ)


def _joined(blocks: list[tuple[int, int, int, np.ndarray]], origin: int) -> np.ndarray:
    """All blocks in one array, float32, each at its place; NaN where nothing came."""
    ends = [(at - origin) // step + len(data) for at, step, _, data in blocks]
    joined = np.full(max(ends), np.nan, np.float32)
    for (_, _, _, data), end in zip(blocks, ends, strict=True):
        joined[end - len(data) : end] = data
    return joined
