"""Measures the bytes of the generated C and of the firmware on every core that builds here, for data/code_sizes.json.

usage: measure_code.py MODELS... [--cases] [--all] [-o FILE]

MODELS are .tflite files or folders of them. Only those with a function that FILE lacks are linked, for each core with each
of its compilers, as mcuml builds them: a minute or two after a few kernels have changed, a quarter of an hour with --all.
With --cases what no model has any more leaves FILE. --check measures nothing: it says what FILE lacks and ends with 1.
"""

import argparse
import importlib
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from code_table import Model, compact, lacking, merged, tabulate, thinned
from elf_functions import flash_of, functions_in, pieces

from mcuml import board, pipeline, toolchain
from mcuml.build import project_files
from mcuml.code_size import demand, firmware_digest
from mcuml.cores import CORES
from mcuml.elf_sizes import sizes
from mcuml.errors import BuildError, UserError
from mcuml.render import render_model
from mcuml.run.firmware import config_header
from mcuml.trial_link import Workshop, workshop

ROOT = Path(__file__).parents[1]
STUB = """
#include "model.h"
const model_tensor model_input_info[1] = {{"", MODEL_INT8, 1, {16}, 16, 1, 0}};
const model_tensor model_output_info[1] = {{"", MODEL_INT8, 1, {16}, 16, 1, 0}};
void model_init(void *arena) { (void)arena; }
void *model_input(void *arena, int index) { (void)index; return arena; }
const void *model_output(const void *arena, int index) { (void)index; return arena; }
int model_invoke(void *arena) { (void)arena; return 0; }
"""
STUB_BYTES = 1024  # of its input and of its arena; fewer would change how RISC-V's linker reaches what lies behind them
MODEL_OBJECT, STUB_OBJECT = "lib_model_model.o", "stub.o"
ENOUGH = 8  # whole models for a fit of the layers' calls, which has four terms


def stub() -> dict[str, str]:
    """A model that does nothing, as for build_firmware()."""
    plan = pipeline.prepare(ROOT / "examples" / "digits" / "digits_int8.tflite")
    header = render_model(plan)["model.h"].replace(f"_ARENA_BYTES {plan.arena_bytes}", f"_ARENA_BYTES {STUB_BYTES}")
    assert f"_ARENA_BYTES {STUB_BYTES}" in header
    config = config_header(board="", vendor="", clock_hz=1, model_id="", model_sha256="0" * 64, input_bytes=STUB_BYTES)
    return {"model.c": STUB, "model_weights.c": "", "model.h": header, "mcuml_config.h": config}


def column(kind: str, target: board.Board, models: list[Model]) -> tuple[dict, dict]:
    """The figures of a compiler for one core, and {family: {(text, signature): entry}} of the functions of `models`."""
    tools = toolchain.find(target.cpu, kind)
    empty = project_files(stub(), target, tools)
    with workshop(target, tools) as work:
        objects = work.compile(empty)
        (work.folder / MODEL_OBJECT).rename(work.folder / STUB_OBJECT)  # the models' take its place
        objects = [STUB_OBJECT if o == MODEL_OBJECT else o for o in objects]
        base_elf = work.link(objects, "image.elf")
        base, whole = pieces(base_elf), sizes(base_elf)
        own = flash_of(work.folder / STUB_OBJECT, base_elf)
        functions: dict[str, dict] = {}
        rests, libraries = [], {}
        firmware = [o for o in objects if o != STUB_OBJECT and not o.startswith("lib_model")]
        for model in models:
            linked = model.whole or target.cpu.arch == "riscv"  # whose linker shortens code
            image = compiled(work, {**empty, **in_library(model)}, kind, firmware if linked else None)
            rows = functions_in(work.folder / MODEL_OBJECT, image, model.demand.functions)
            for row in rows:
                if row.function.stands or row.size:
                    f = row.function
                    entry = {"text": f.text, "signature": list(f.signature), "length": f.length, "size": row.size,
                             "needs": list(row.needs), "code": row.code}  # fmt: skip
                    family, key = functions.setdefault(f.family, {}), (f.text, f.signature)
                    # A model may hold a function that nothing calls on this core; another one calls it.
                    if key not in family or family[key]["size"] < row.size:
                        family[key] = entry
            needs = {symbol for row in rows for symbol in row.needs}
            for symbol in sorted(needs - set(libraries)):
                brought = work.link(objects, "library.elf", (f"-Wl,-u,{symbol}",))
                more = {n: size for n, size in pieces(brought).items() if n not in base and size}
                libraries[symbol] = {"pieces": more, "ram": sizes(brought).ram - whole.ram}
            if model.whole and image:
                held = sizes(image)
                known = {n: size for symbol in needs for n, size in libraries[symbol]["pieces"].items()}
                taken = whole.flash - own + model.demand.info + sum(row.size for row in rows) + sum(known.values())
                rests.append((1, *model.demand.calls, held.flash - held.weights - taken))
        flat = [e for family in functions.values() for e in family.values() if e["size"]]
        figures = {
            "compiler": f"{tools.name} {tools.version}", "firmware": firmware_digest(),
            "base": whole.flash - own, "ram": whole.ram - 2 * STUB_BYTES,
            **calls(rests), "per_letter": round(sum(e["size"] for e in flat) / max(1, sum(e["length"] for e in flat)), 4),
            "libraries": {symbol: brought for symbol, brought in libraries.items() if brought["pieces"]},
        }  # fmt: skip
        return figures, functions


def calls(rests: list[tuple]) -> dict[str, list[float]]:
    """{"invoke": what the code and the tables around the kernels take: bytes in all, for each layer, argument, and number},
    or nothing where there are too few models to tell. `rests`: (1, layers, arguments, numbers, bytes) of each model."""
    if len(rests) < ENOUGH:
        return {}
    measured = np.array(rests, float)
    solved, *_ = np.linalg.lstsq(measured[:, :-1], measured[:, -1], rcond=None)
    return {"invoke": [round(float(v), 2) for v in solved]}


def in_library(model: Model) -> dict[str, str]:
    return {f"lib/model/{name}": text for name, text in model.files.items()}


def compiled(work: Workshop, project: dict[str, str], kind: str, firmware: list[str] | None) -> Path | None:
    """Compile the model in `project`, every function apart from those that equal it; link it with `firmware`."""
    for name in project:
        if name.startswith("lib/model/"):
            (work.folder / name).write_text(project[name], encoding="utf-8")
    # Debugging information takes time to write and to read.
    flags = ("-g0", *(("-fno-ipa-icf",) if kind == "gcc" else ()))
    sources = ("lib/model/model.c", "lib/model/model_weights.c") if firmware else ("lib/model/model.c",)
    objects = [work.object(name, project, flags) for name in sources]
    return work.link([*firmware, *objects], "image.elf") if firmware else None


def cases() -> list[Model]:
    """Of the tables in tests/ops the first case that shows a kernel function of a new kind."""
    sys.path.insert(0, str(ROOT / "tests"))
    from ops.harness import Table

    seen: set[str] = set()
    found = []
    for path in sorted((ROOT / "tests" / "ops").glob("test_*.py")):
        module = importlib.import_module(f"ops.{path.stem}")
        for table in [getattr(v, "table", v) for v in vars(module).values() if isinstance(getattr(v, "table", v), Table)]:
            for name in table.cases:
                try:
                    planned = table.model(name).planned
                except (UserError, AssertionError):
                    continue
                wanted = demand(planned)
                families = {f.family for f in wanted.functions if f.stands}
                if families - seen:
                    seen |= families
                    found.append(Model(f"{path.stem}[{name}]", wanted, render_model(planned), whole=False))
    return found


def gather(places: list[Path]) -> list[Model]:
    found = []
    for path in [p for place in places for p in ([place] if place.is_file() else sorted(place.rglob("*.tflite")))]:
        try:
            plan = pipeline.prepare(path)
            found.append(Model(path.stem, demand(plan), render_model(plan)))
        except UserError as error:
            print(f"{path.name}: {error.what}", file=sys.stderr)
    return found


def columns() -> dict[str, tuple[str, board.Board]]:
    """Name in the table -> (compiler, a board with that core), of all that build here."""
    targets = {b.core: b for b in board.load_all()}
    found = {}
    for kind in ("gcc", "zig"):
        for name in (name for name in CORES if name in targets):
            try:
                toolchain.find(CORES[name], kind)
            except BuildError:
                continue
            found[f"{kind} {name}"] = (kind, targets[name])
    return found


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", type=Path, nargs="+")
    ap.add_argument("-o", "--output", type=Path, default=ROOT / "data" / "code_sizes.json")
    ap.add_argument("--cases", action="store_true", help="measure the models of tests/ops too")
    ap.add_argument("--all", action="store_true", help="measure all anew, whatever FILE has")
    ap.add_argument("--check", action="store_true", help="only tell what FILE lacks")
    args = ap.parse_args()
    models, here = gather(args.models) + (cases() if args.cases else []), columns()
    old = None if args.all else json.loads(args.output.read_text(encoding="utf-8"))
    wanted = models if old is None else lacking(models, old, set(here))
    print(f"{len(wanted)} of {len(models)} models have functions to measure", flush=True)
    if args.check:
        print("\n".join(f"  {model.name}" for model in wanted))
        return 1 if wanted else 0
    # Processes: half of the time goes into reading ELF files.
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        work = {name: pool.submit(column, *place, wanted) for name, place in here.items()}
        found = {}
        for name, held in work.items():
            found[name] = held.result()
            print(f"  {name}", flush=True)
    table = merged(old, tabulate(found)) if old else tabulate(found)
    table = thinned(table, models) if args.cases else table
    args.output.write_text(compact(table), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
