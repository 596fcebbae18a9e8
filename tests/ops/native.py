"""One operator the whole way on the host: .tflite -> mcuml's C -> compiler -> ctypes, beside TFLite Micro's interpreter."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from mcuml import ops, render, tflite
from mcuml.plan import plan

CC = [cc] if (cc := shutil.which("cc")) else [sys.executable, "-m", "ziglang", "cc"]
FLAGS = "-O2 -std=c99 -Wall -Wextra -Werror -ffp-contract=off -shared -fPIC".split()


def run(data: bytes, folder: Path, samples: int = 4, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """[(mcuml's output, TFLite Micro's)] for random inputs to a model with one input and one output."""
    from tflite_micro.python.tflite_micro import runtime

    (folder / "m.tflite").write_bytes(data)
    graph = ops.lower(tflite.load(folder / "m.tflite"))
    planned = plan(graph)
    prefix = "m" + hashlib.sha256(data).hexdigest()[:16]  # libraries of one process must not share symbols
    render.write(render.render_model(planned, prefix), folder)
    library = folder / f"{prefix}.so"
    subprocess.run([*CC, *FLAGS, f"{prefix}.c", f"{prefix}_weights.c", "-o", library, "-lm"], cwd=folder, check=True)
    lib = ctypes.CDLL(str(library))
    source, target = (getattr(lib, f"{prefix}_{end}") for end in ("input", "output"))
    source.restype = target.restype = ctypes.c_void_p
    buffer = ctypes.create_string_buffer(planned.arena_bytes + render.ARENA_ALIGN)
    arena = ctypes.c_void_p(-(-ctypes.addressof(buffer) // render.ARENA_ALIGN) * render.ARENA_ALIGN)
    oracle = runtime.Interpreter.from_bytes(data, arena_size=1 << 20)
    rng, results = np.random.default_rng(seed), []
    for _ in range(samples):
        tensor = graph.tensors[graph.inputs[0]]
        values = rng.normal(0, 1, tensor.shape) if tensor.dtype == "float32" else rng.integers(-128, 128, tensor.shape)
        values = values.astype(tensor.dtype)
        oracle.set_input(values, 0)
        oracle.invoke()
        expected = np.array(oracle.get_output(0))
        getattr(lib, f"{prefix}_init")(arena)
        ctypes.memmove(source(arena, 0), values.tobytes(), values.nbytes)
        assert getattr(lib, f"{prefix}_invoke")(arena) == 0
        got = np.frombuffer(ctypes.string_at(target(arena, 0), expected.nbytes), expected.dtype).reshape(expected.shape)
        results.append((got, expected))
    return results


def check(data: bytes, folder: Path) -> None:
    """Integers equal bit for bit; floats within 1e-5 of max(1, |expected|)."""
    for got, expected in run(data, folder):
        if expected.dtype.kind == "f":
            np.testing.assert_array_less(np.abs(got - expected) / np.maximum(1, np.abs(expected)), 1e-5)
        else:
            np.testing.assert_array_equal(got, expected)
