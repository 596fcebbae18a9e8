"""Measures the bytes of the generated C and of the firmware on every core that builds here, for data/code_sizes.json.

usage: measure_code.py MODELS... [--cases] [--keep | --compiler NAME] [-o FILE] [--only SUBSTRING]

MODELS are .tflite files or folders of them. Each is compiled for each core with each of its compilers, as mcuml builds it.
Run it again, with --keep, when kernels or the firmware have changed: tests/test_fit.py says when the figures no longer hold.
All cases of tests/ops on all cores take a quarter of an hour.
"""

import argparse
import hashlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import numpy as np
from code_table import compact, merged, tabulate, unmeasured, without
from elftools.elf.elffile import ELFFile

from mcuml import assets, board, pio, pipeline, toolchain
from mcuml.build import COMMON_FLAGS, FIRMWARE_FLAGS, STACK_BYTES
from mcuml.code_size import Demand, demand, read
from mcuml.cores import CORES
from mcuml.elf_sizes import sizes
from mcuml.errors import BuildError, UserError
from mcuml.render import COMPILER_FLAGS, render_file, render_model
from mcuml.run.firmware import config_header

STUB = """
#include "model.h"
const model_tensor model_input_info[1] = {{"", MODEL_INT8, 1, {16}, 16, 1, 0}};
const model_tensor model_output_info[1] = {{"", MODEL_INT8, 1, {16}, 16, 1, 0}};
void model_init(void *arena) { (void)arena; }
void *model_input(void *arena, int index) { (void)index; return arena; }
const void *model_output(const void *arena, int index) { (void)index; return arena; }
int model_invoke(void *arena) { (void)arena; return 0; }
"""
STUB_BYTES = 16  # of its input and of its arena
OWN = ("model_init", "model_input", "model_output", "model_invoke")


class Bench:
    """A folder in which one core's compiler works."""

    def __init__(self, target, folder: Path):
        self.target, self.folder, self.tools = target, folder, toolchain.find(target.cpu)
        (folder / "linker.ld").write_text(render_file("linker.ld.j2", board=target, version="", stack_bytes=STACK_BYTES))

    def call(self, *words: str) -> None:
        done = subprocess.run([*self.tools.command, *self.tools.machine, *words], cwd=self.folder, env=pio.environment(),
                              capture_output=True, text=True, check=False)  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}\n{done.stderr}")

    def compile(self, text: str, name: str, flags) -> Path:
        (self.folder / f"{name}.c").write_text(text)
        self.call(*flags, *COMMON_FLAGS, *self.tools.compile, "-c", f"{name}.c", "-o", f"{name}.o")
        return self.folder / f"{name}.o"

    def link(self, *more: str) -> Path:
        objects = [f"firmware{n}.o" for n in range(self.count)] + ["stub.o"]
        self.call(*self.tools.link, "-Wl,--gc-sections", "-T", "linker.ld", *objects, *more,
                  *(f"-l{lib}" for lib in self.tools.libs), "-o", "image.elf")  # fmt: skip
        return self.folder / "image.elf"

    def firmware(self, header: str) -> None:
        """Compile the firmware for a stub of a model."""
        root = assets.folder("firmware")
        (self.folder / "model.h").write_text(header)
        config = config_header(board="", vendor=self.target.vendor, clock_hz=self.target.clock_hz, model_id="",
                               model_sha256="0" * 64, input_bytes=STUB_BYTES)  # fmt: skip
        (self.folder / "mcuml_config.h").write_text(config)
        sources = [*root.glob("*.c"), root / "ports" / "virtual" / "port.c",
                   root / "platforms" / "bare" / "startup" / f"{self.target.cpu.arch}.c"]  # fmt: skip
        sources += [path for place in self.tools.sources for path in Path(place).glob("*.c")]
        self.count = len(sources)
        for n, path in enumerate(sources):
            self.call(*FIRMWARE_FLAGS, *COMMON_FLAGS, *self.tools.compile, f"-I{self.folder}", f"-I{root}", "-c", str(path),
                      "-o", f"firmware{n}.o")  # fmt: skip
        self.compile(STUB, "stub", COMPILER_FLAGS)


def stub_header() -> str:
    plan = pipeline.prepare(Path(__file__).parents[1] / "examples" / "digits" / "digits_int8.tflite")
    text = render_model(plan)["model.h"].replace(f"_ARENA_BYTES {plan.arena_bytes}", f"_ARENA_BYTES {STUB_BYTES}")
    assert f"_ARENA_BYTES {STUB_BYTES}" in text
    return text


def sections(path: Path) -> dict[int, tuple[str, int]]:
    """Number -> (name, bytes) of what an object brings into flash."""
    with path.open("rb") as file:
        return {
            n: (s.name, -(-s["sh_size"] // 4) * 4)
            for n, s in enumerate(ELFFile(file).iter_sections())
            if s["sh_flags"] & 2
            and s["sh_size"]
            and s["sh_type"] != "SHT_NOBITS"
            and s.name.startswith((".text", ".rodata", ".data"))
        }


def references(path: Path) -> dict[int, tuple[set[int], set[str]]]:
    """Section number -> (sections, undefined symbols) that its code names."""
    found: dict[int, tuple[set[int], set[str]]] = {}
    with path.open("rb") as file:
        elf = ELFFile(file)
        symbols = list(elf.get_section_by_name(".symtab").iter_symbols())
        for section in elf.iter_sections():
            if section["sh_type"] in ("SHT_REL", "SHT_RELA"):
                there = found.setdefault(section["sh_info"], (set(), set()))
                for r in section.iter_relocations():
                    symbol = symbols[r["r_info_sym"]]
                    if symbol["st_shndx"] == "SHN_UNDEF":
                        there[1].add(symbol.name)
                    elif isinstance(symbol["st_shndx"], int):
                        there[0].add(symbol["st_shndx"])
    return found


def pieces(elf: Path) -> dict[str, int]:
    """What lies in flash: first symbol at an address -> bytes to the next one."""
    with elf.open("rb") as file:
        held = ELFFile(file)
        spans = {n: (s["sh_addr"], s["sh_addr"] + s["sh_size"]) for n, s in enumerate(held.iter_sections())
                 if s.name in (".text", ".rodata", ".data")}  # fmt: skip
        places: dict[int, list[str]] = {}
        for s in held.get_section_by_name(".symtab").iter_symbols():
            if s["st_shndx"] in spans and not s.name.startswith("$") and s.name:
                places.setdefault(s["st_value"] & ~1, []).append(s.name)
        found = {}
        for first, end in spans.values():
            inside = sorted(a for a in places if first <= a < end)
            for a, b in zip(inside, [*inside, end][1:], strict=True):
                found[min(places[a])] = b - a
        return found


def bodies_of(path: Path) -> dict[int, bytes]:
    """Section number -> its bytes and what it names: functions that are alike in both are one to gcc's -fipa-icf."""
    named = references(path)
    with path.open("rb") as file:
        elf = ELFFile(file)
        titles = [s.name for s in elf.iter_sections()]
        return {
            n: s.data() + repr((sorted(titles[m] for m in named.get(n, ((), ()))[0]), sorted(named.get(n, ((), ()))[1]))).encode()
            for n, s in enumerate(elf.iter_sections())
            if s.name.startswith(".text.")
        }


def dissect(path: Path, text: str) -> tuple[list[tuple], int]:
    """Of a compiled model.c: [(function, bytes, library symbols, hash of its code)], and the bytes of the layers' calls and
    their tables."""
    functions, _ = read(text)
    held, named = sections(path), references(path)
    described = {n for n, (name, _) in held.items() if ".str" in name or "put_info" in name}
    known = {".text." + name for name in (*OWN, *(f.name for f in functions))}

    def owner(name: str) -> str:
        while name and name not in known:
            name = name.rpartition(".")[0]
        return name.removeprefix(".text.")

    bodies: dict[str, list[int]] = {}
    for n, (name, _) in held.items():
        if name.startswith(".text"):
            bodies.setdefault(owner(name), []).append(n)
    used, rows, contents = set(described), [], bodies_of(path)
    for function in functions:
        mine = set(bodies.get(function.name, []))
        mine |= {s for n in mine for s in named.get(n, (set(), set()))[0] if s in held and not held[s][0].startswith(".text")}
        mine -= described
        needs = set().union(*(named.get(n, (set(), set()))[1] for n in mine)) if mine else set()
        if mine or function.stands:
            code = hashlib.sha256(b"".join(contents.get(n, b"") for n in sorted(mine))).hexdigest()[:8]
            size = sum(held[n][1] for n in mine - used)
            rows.append((function, size, sorted(n for n in needs if not n.startswith("model_")), code))
        used |= mine
    return rows, sum(size for n, (_, size) in held.items() if n not in used)


def measure(target, models: list[tuple[Demand, str, str]], header: str) -> tuple[dict, dict]:
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(target, Path(temporary))
        bench.firmware(header)
        base_elf = bench.link()
        base, whole = pieces(base_elf), sizes(base_elf)
        stub = sum(size for _, size in sections(bench.folder / "stub.o").values())
        functions: dict[str, dict] = {}
        calls, needed = [], set()
        for wanted, text, own_header in models:
            (bench.folder / "model.h").write_text(own_header)
            apart = ("-fno-ipa-icf",) if bench.tools.kind == "gcc" else ()
            rows, rest = dissect(bench.compile(text, "model", (*COMPILER_FLAGS, *apart)), text)
            calls.append((*wanted.calls, rest))
            for f, size, needs, code in rows:
                if not f.stands and not size:
                    continue
                entry = {"text": f.text, "signature": list(f.signature), "length": f.length, "size": size, "needs": needs,
                         "code": code}  # fmt: skip
                functions.setdefault(f.family, {})[f.text, f.signature] = entry
                needed |= set(needs)
        libraries = {}
        for symbol in sorted(needed):
            image = bench.link(f"-Wl,-u,{symbol}")
            more = {n: size for n, size in pieces(image).items() if n not in base and size}
            if more:
                libraries[symbol] = {"pieces": more, "ram": sizes(image).ram - whole.ram}
        rows = np.array([(1, a, b, 4 * c, d) for a, b, c, d in calls], float)
        solved, *_ = np.linalg.lstsq(rows[:, :4], rows[:, 4], rcond=None)
        flat = [e for family in functions.values() for e in family.values() if e["size"]]
        figures = {
            "compiler": f"{bench.tools.name} {bench.tools.version}",
            "base": whole.flash - stub, "ram": whole.ram - 2 * STUB_BYTES,
            "invoke": [round(float(v), 2) for v in (solved[0], solved[1], solved[2], 4 * solved[3])],
            "per_letter": round(sum(e["size"] for e in flat) / sum(e["length"] for e in flat), 4), "libraries": libraries,
        }  # fmt: skip
        return figures, functions


def cases() -> list[tuple[Demand, str, str]]:
    """Of the tables in tests/ops the first case that shows a kernel function of a new kind."""
    tests = Path(__file__).parents[1] / "tests"
    sys.path.insert(0, str(tests))
    from ops.harness import Table

    seen: set[str] = set()
    found = []
    for path in sorted((tests / "ops").glob("test_*.py")):
        module = importlib.import_module(f"ops.{path.stem}")
        for table in [getattr(v, "table", v) for v in vars(module).values() if isinstance(getattr(v, "table", v), Table)]:
            for name in table.cases:
                try:
                    planned = table.model(name).planned
                    functions = {f.family for f in demand(planned).functions if f.stands}
                except (UserError, AssertionError):
                    continue
                if functions - seen:
                    seen |= functions
                    files = render_model(planned)
                    found.append((demand(planned), files["model.c"], files["model.h"]))
    return found


def gather(places: list[Path], only: str) -> list[tuple[Demand, str, str]]:
    found = []
    for path in [p for place in places for p in ([place] if place.is_file() else sorted(place.rglob("*.tflite")))]:
        if only in path.name:
            try:
                plan = pipeline.prepare(path)
                files = render_model(plan)
                found.append((demand(plan), files["model.c"], files["model.h"]))
            except UserError as error:
                print(f"{path.name}: {error.what}", file=sys.stderr)
    return found


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", type=Path, nargs="+")
    ap.add_argument("-o", "--output", type=Path, default=Path(__file__).parents[1] / "data" / "code_sizes.json")
    ap.add_argument("--only", default="")
    ap.add_argument("--cases", action="store_true", help="measure the models of tests/ops too")
    ap.add_argument("--keep", action="store_true", help="measure only what FILE lacks, and add it")
    ap.add_argument("--compiler", choices=["gcc", "zig"], help="measure this one anew, and keep FILE's figures of the other")
    args = ap.parse_args()
    models, header = gather(args.models, args.only) + (cases() if args.cases else []), stub_header()
    old = json.loads(args.output.read_text(encoding="utf-8")) if args.keep or args.compiler else None
    if old and args.compiler:
        old = without(old, args.compiler)
    elif old:
        models = unmeasured(models, old)
    print(f"{len(models)} models", flush=True)
    if not models:
        return 0
    targets = {b.core: b for b in board.load_all()}
    measured: dict[str, tuple[dict, dict]] = {}
    for kind in [args.compiler] if args.compiler else ["gcc", "zig"]:
        with mock.patch.dict(os.environ, {toolchain.FORCE: kind}):
            usable = []
            for name in CORES:
                try:
                    usable += [targets[name]] if name in targets and toolchain.find(CORES[name]) else []
                except BuildError:
                    continue
            with ThreadPoolExecutor(2) as pool:
                for target, found in zip(usable, pool.map(lambda t: measure(t, models, header), usable), strict=True):
                    measured[f"{kind} {target.core}"] = found
                    print(f"{kind} {target.core}: firmware {found[0]['base']:,} bytes", flush=True)
    table = tabulate(measured)
    args.output.write_text(compact(merged(old, table) if old else table), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
