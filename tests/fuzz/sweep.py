"""Seeds become judged graphs, or damaged files with their outcomes, a batch at a time, in several processes."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import device
import sanitized
from fuzz import files, judge
from fuzz.catalogue import RECIPES, operator
from fuzz.draft import Sketch, draw
from fuzz.oracle import Oracle
from fuzz.shrink import smallest
from mcuml import ops

BATCH = 50  # graphs in one run of the compiler
Outcome = tuple[int, Counter, "tuple[str, str] | None"]  # seed, operators, (kind, text) of what went wrong


def graph(seed: int) -> Sketch:
    """The graph of `seed` over all operators that mcuml serves and the fuzzer can draw."""
    return draw(seed, {key: recipe for key, recipe in RECIPES.items() if operator(key) in ops.registry()}, judge.accepts)


def examine(seeds: Sequence[int], folder: Path) -> list[Outcome]:
    """Judge the graphs of `seeds`; one that fails is shrunk and written to `folder` as <seed>.tflite and <seed>.txt."""
    with Oracle() as oracle:
        sketches = [graph(seed) for seed in seeds]
        outcomes: list[Outcome] = []
        for sketch, finding in zip(sketches, judge.judge(sketches, oracle), strict=True):
            counted = Counter(sketch.codes)
            if finding is None:
                outcomes.append((sketch.seed, counted, None))
                continue
            small, said = smallest(sketch, finding, lambda trial: judge.judge([trial], oracle)[0])
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{sketch.seed}.tflite").write_bytes(small.bytes)
            text = f"seed {sketch.seed}: {said.kind}: {said.text}\n{small}\n"
            (folder / f"{sketch.seed}.txt").write_text(text + f"\nof the whole graph:\n{sketch}\n")
            outcomes.append((sketch.seed, counted, (said.kind, text)))
        return outcomes


def sweep(first: int, count: int, jobs: int, folder: Path) -> Iterator[Outcome]:
    """Outcomes of `count` graphs from seed `first` on, in order, by `jobs` processes."""
    batches = [list(range(at, min(at + BATCH, first + count))) for at in range(first, first + count, BATCH)]
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for outcomes in pool.map(examine, batches, [folder] * len(batches)):
            yield from outcomes


ROOT = Path(__file__).parents[2]
CHUNK = 500  # damaged files for one process at a time
DRAWN = 40  # random graphs among the models that are damaged
KINDS = ("models", "board files", "replies to the host", "commands to the device")


def originals(folder: Path | None) -> list[bytes]:
    """The models to damage: those in `folder`, the example, and random graphs with every operator."""
    real = [*(sorted(folder.glob("**/*.tflite")) if folder else ()), ROOT / "examples" / "digits" / "digits_int8.tflite"]
    return [*(path.read_bytes() for path in real), *(graph(seed).bytes for seed in range(DRAWN))]


def damage_some(what: str, seeds: range, failures: Path, folder: Path | None) -> tuple[str, Counter, list[str]]:
    """The outcomes of the damage of `seeds`."""
    if what == "models":
        return what, *files.gather(files.models(originals(folder), seeds), failures, ".tflite")
    if what == "board files":
        return what, *files.gather(files.boards(sorted((ROOT / "boards").glob("*.toml")), seeds), failures, ".toml")
    if what == "replies to the host":
        return what, *files.gather(files.replies(seeds), failures, ".reply")
    program = device.build("host", compiler=sanitized.sanitizing())
    return what, *files.gather(files.commands(program, seeds), failures, ".commands")


def damage(first: int, count: int, jobs: int, failures: Path, folder: Path | None) -> Iterator[tuple[str, Counter, list[str]]]:
    """(kind, outcomes, escapes) for `count` of each of KINDS, by `jobs` processes."""
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for what in KINDS:
            spans = [range(at, min(at + CHUNK, first + count)) for at in range(first, first + count, CHUNK)]
            outcomes, escapes = Counter[str](), list[str]()
            for _, counted, escaped in pool.map(
                damage_some, [what] * len(spans), spans, [failures] * len(spans), [folder] * len(spans)
            ):
                outcomes += counted
                escapes += escaped
            yield what, outcomes, escapes
