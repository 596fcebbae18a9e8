"""The generated C is clean: under the sanitizers, with an arena of exactly the bytes that the model asks for, and under every
warning of sanitized.WARNINGS, by gcc and clang. Shared models, the example, and random graphs with all operators."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import sanitized
from conftest import shared_folder
from fuzz import judge, sweep
from mcuml import pio, pipeline, render
from mcuml.errors import ModelError
from mcuml.plan import Plan
from ops import builds, harness, test_palette, test_sparse, test_unpack

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "digits" / "digits_int8.tflite"
FILES = [*sorted((shared_folder() or ROOT).glob("models/*/*.tflite")), EXAMPLE]
GRAPHS = range(2_000_000, 2_000_010)
RUN = """
static int run_{0}(FILE *file)
{{
    unsigned sum = 0;
    int failed = 0;
    uint8_t *arena = malloc({1}_ARENA_BYTES); /* aligned to 16, as an arena must be; one byte more or less is seen */
    if (!arena) return 1;
    {0}_init(arena);
    for (int n = 0; n < {2}; n++) {{
        for (int i = 0; i < {1}_INPUTS; i++) failed |= fread({0}_input(arena, i), {0}_input_info[i].bytes, 1, file) != 1;
        failed |= {0}_invoke(arena);
        for (int i = 0; i < {1}_OUTPUTS; i++)
            for (uint32_t k = 0; k < {0}_output_info[i].bytes; k++) sum += ((const uint8_t *){0}_output(arena, i))[k];
    }}
    free(arena);
    return failed | (sum == 1u);
}}
"""
HOOK = "static void fuzz_hook(int index) { (void)index; }\n"


def compiled(command: Sequence[str], folder: Path, *sources: str) -> None:
    done = subprocess.run([*command, *sources], cwd=folder, capture_output=True, text=True, env=pio.environment())
    assert done.returncode == 0, done.stderr[:3000]


def run(folder: Path, prefixes: Sequence[str], data: bytes, *sources: str, samples: int = 2, flags: Sequence[str] = ()) -> None:
    """Compile `sources` and a program that runs each model on `samples` samples out of `data`; no sanitizer says a word."""
    calls = " | ".join(f"run_{p}(stdin)" for p in prefixes)
    runs = "".join(RUN.format(p, p.upper(), samples) for p in prefixes)
    includes = "".join(f'#include "{p}.h"\n' for p in prefixes)
    main = f"#include <stdio.h>\n#include <stdlib.h>\n{includes}{runs}\nint main(void)\n{{\n    return {calls};\n}}\n"
    (folder / "main.c").write_text(main)
    command = [*sanitized.sanitizing(), "-std=c99", "-O1", "-ffp-contract=off", *flags]
    compiled([*command, "-o", "program", "main.c"], folder, *sources, "-lm")
    done = subprocess.run([folder / "program"], input=data, capture_output=True, timeout=120)
    said = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 0 and not said, f"status {done.returncode}: {said[:3000]}"


def written(plan: Plan, folder: Path) -> Path:
    files = render.render_model(plan)
    render.write({name: text for name, text in files.items() if name.endswith((".c", ".h"))}, folder)
    return folder


@cache
def planned(path: Path) -> Plan:
    try:
        return pipeline.prepare(path)
    except ModelError as error:
        pytest.skip(f"mcuml does not serve this model yet, so there is no C of it: {error.what[:200]}")


@cache
def candidates() -> list[judge.Candidate]:
    return [judge.Candidate(sweep.graph(seed)) for seed in GRAPHS]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_models_run_clean(path: Path, tmp_path: Path) -> None:
    plan = planned(path)
    rng, tensors = np.random.default_rng(7), [plan.graph.tensors[t] for t in plan.graph.inputs]
    data = b"".join(judge.values(rng, t, kind).tobytes() for kind in judge.SAMPLES for t in tensors)
    run(written(plan, tmp_path), ["model"], data, "model.c", "model_weights.c")


def test_random_graphs_run_clean(tmp_path: Path) -> None:
    models = candidates()
    for model in models:
        render.write({name: text for name, text in model.files.items() if name.endswith(".h")}, tmp_path)
    (tmp_path / "models.c").write_text(HOOK + builds._unit(models))
    data = b"".join(value.tobytes() for model in models for sample in model.samples()[:2] for value in sample)
    run(tmp_path, [m.prefix for m in models], data, "models.c", flags=["-O0", "-fsanitize=float-cast-overflow"])


@cache
def packed() -> list[harness.Case]:
    """Layers that walk or unpack their weights: a walk must not read behind its input's end."""
    tables = [
        value.table
        for module in (test_sparse, test_palette, test_unpack)
        for value in vars(module).values()
        if hasattr(value, "table")
    ]
    return [table.model(name) for table in tables for name in list(table.cases)[::2]]


def test_packed_weights_run_clean(tmp_path: Path) -> None:
    for model in packed():
        render.write({name: text for name, text in model.files.items() if name.endswith(".h")}, tmp_path)
    (tmp_path / "models.c").write_text(HOOK + builds._unit(packed()))
    data = b"".join(value.tobytes() for model in packed() for sample in model.inputs[:2] for value in sample)
    run(tmp_path, [m.prefix for m in packed()], data, "models.c", flags=["-O0", "-fsanitize=float-cast-overflow"])


@pytest.mark.parametrize("compiler", sanitized.compilers())
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_models_compile_without_a_warning(path: Path, compiler: str, tmp_path: Path) -> None:
    folder = written(planned(path), tmp_path)
    compiled([*sanitized.compilers()[compiler], *sanitized.WARNINGS, "-O0", "-c"], folder, "model.c", "model_weights.c")


@pytest.mark.parametrize("compiler", sanitized.compilers())
def test_random_graphs_and_packed_weights_compile_without_a_warning(compiler: str, tmp_path: Path) -> None:
    models = [*candidates(), *packed()]
    for model in models:
        render.write({name: text for name, text in model.files.items() if name.endswith(".h")}, tmp_path)
    (tmp_path / "models.c").write_text(HOOK + builds._unit(models))
    compiled([*sanitized.compilers()[compiler], *sanitized.WARNINGS, "-O1", "-c"], tmp_path, "models.c")


@pytest.mark.parametrize(
    "fault, said",
    [
        ("arena[{size}] = 1;", "heap-buffer-overflow"),
        ("arena[-1] = 1;", "heap-buffer-overflow"),
        ("volatile int32_t large = 2147483647; large = large + 1;", "signed integer overflow"),
    ],
)
def test_faults_are_seen(fault: str, said: str, tmp_path: Path) -> None:
    if "heap" in said and not any("address" in word for word in sanitized.sanitizing()):
        pytest.skip("No compiler here brings AddressSanitizer; install gcc with libasan.")
    plan = planned(EXAMPLE)
    source = written(plan, tmp_path) / "model.c"
    fault = fault.format(size=plan.arena_bytes)
    source.write_text(source.read_text().replace("LAYER_DONE(0);", f"{{ {fault} }} LAYER_DONE(0);"))
    with pytest.raises(AssertionError, match=said):
        run(tmp_path, ["model"], bytes(4096), "model.c", "model_weights.c", flags=["-O0"])
