"""How many bytes of flash and RAM the generated C and the firmware take on a core, told without a compiler.

That is for all boards at once, before a build, and for cores that no compiler here serves; trial_link.py tells the same to the
byte. The figures come from data/code_sizes.json, which tools/measure_code.py measured: the firmware alone, each kernel
function by its text (a compiler also bends a function to the constants that all its callers pass, so those are kept with
it), and the pieces of the C library that functions bring along. What was never measured is taken from its nearest relative
there, and widens the margin."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from mcuml import assets, toolchain
from mcuml.build import COMMON_FLAGS, FIRMWARE_FLAGS
from mcuml.cores import Core
from mcuml.plan import ARENA_ALIGN, Plan
from mcuml.render import COMPILER_FLAGS, render_model
from mcuml.trial_link import Linked

DATA = "code_sizes.json"
INFO_BYTES = 56  # of one <prefix>_tensor
WORD = 4
CLOSE = 0.04  # of the flash: so far are figures off at most for models whose functions were measured; a test judges that
DOUBT = 1.0  # of the bytes of functions that were not
FIRMWARE_DOUBT = 0.1  # of a firmware that has changed since
_MACRO = re.compile(r"^ *# *define (\w+)(?:.*\\\n)*.*\n", re.MULTILINE)
_TABLE = re.compile(r"^static const [^;={(]*?\b(\w+)(?:\[[^\]]*\])+ = \{.*?\};\n", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"\b[A-Za-z_]\w*")
_FUNCTION = re.compile(r"^static [^;{=]*?\b(\w+)\([^;{]*\)\n\{\n.*?^\}\n", re.MULTILINE | re.DOTALL)
_LITERAL = re.compile(r"-?\d+u?")
Signature = tuple[int | None, ...]


@dataclass(frozen=True)
class Function:
    """One function of a model: the hash of its text and of all in the file that it uses, the constants that all its calls
    share (None where they do not or where an argument is none), and the length of its text."""

    name: str
    text: str
    signature: Signature
    length: int
    stands: bool  # never inlined

    @property
    def family(self) -> str:
        """Its name without the numbers of its variant."""
        return re.sub(r"_\d+(x\d+)*(?=_|$)", "", self.name)


@dataclass(frozen=True)
class Demand:
    """What a model brings to an image, as far as its C tells: constants and tensor descriptions in bytes, the functions, and
    of the calls how many they are, their arguments, and the numbers in their tables."""

    weights: int
    info: int
    functions: tuple[Function, ...]
    calls: tuple[int, int, int]
    arena: int
    inputs: int
    name: int  # letters


@dataclass(frozen=True)
class Estimate:
    """Bytes: code is all of flash but the weights; ram is static, the arena included, the stack not. `basis` says whose figures
    these are; `guessed` names the functions that were not measured as they are, and `margin` is how far off the flash may be.
    linked: they are an image's own."""

    code: int
    weights: int
    ram: int
    basis: str
    margin: int
    guessed: tuple[str, ...] = ()
    linked: bool = False


@lru_cache(maxsize=2)
def demand(plan: Plan) -> Demand:
    """What `plan`'s C holds."""
    graph = plan.graph
    tensors = [graph.tensors[t] for t in (*graph.inputs, *graph.outputs)]
    text = render_model(plan)["model.c"]
    functions, calls = read(text)
    # As they are written out: equal ones once, each aligned to a word.
    constants = {(c.data.dtype.name, c.data.tobytes()) for n in graph.nodes if n.kernel for c in n.kernel.constants}
    held = [graph.tensors[t].data for t in graph.outputs]
    constants |= {(data.dtype.name, data.tobytes()) for data in held if data is not None}
    return Demand(
        weights=sum(_up(len(raw), WORD) for _, raw in constants),
        info=sum(INFO_BYTES + len(t.name) + 1 for t in tensors),
        functions=functions,
        calls=calls,
        arena=plan.arena_bytes,
        inputs=sum(graph.tensors[t].bytes for t in graph.inputs),
        name=len(graph.name),
    )


def read(text: str) -> tuple[tuple[Function, ...], tuple[int, int, int]]:
    """The static functions of a model.c, and (calls, arguments, numbers in tables) of its layers."""
    body = text[text.index("_invoke(void *") :]
    sources = _definitions(text, _FUNCTION)
    known = {**_definitions(text, _MACRO), **_definitions(text, _TABLE), **sources}
    found = [
        Function(name, _digest(name, known), _signature(name, body), len(source), "MCU_NOINLINE" in source)
        for name, source in sources.items()
    ]
    statements = re.sub(r"/\*.*?\*/|//.*", "", body)
    tables = re.findall(r"=\s*(\{.*?\});", statements, re.DOTALL)
    numbers = sum(len(_LITERAL.findall(table)) for table in tables)
    for table in tables:
        statements = statements.replace(table, "")
    return tuple(found), (statements.count("LAYER_DONE("), statements.count(","), numbers)


def _definitions(text: str, pattern: re.Pattern[str]) -> dict[str, str]:
    """Name -> its definitions, one after another: an #if may choose between several."""
    found: dict[str, str] = {}
    for match in pattern.finditer(text):
        found[match[1]] = found.get(match[1], "") + match[0]
    return found


def _digest(name: str, known: Mapping[str, str]) -> str:
    """Hash of the definitions of `name` and of all that they name, directly or not."""
    seen, todo = [name], [name]
    while todo:
        new = [word for word in dict.fromkeys(_WORD.findall(known[todo.pop()])) if word in known and word not in seen]
        seen += new
        todo += new
    return hashlib.sha256("".join(known[word] for word in sorted(seen)).encode()).hexdigest()[:12]


@cache
def firmware_digest() -> str:
    """Hash of what the bytes of the firmware alone depend on, but for the compiler."""
    root, templates = assets.folder("firmware"), assets.folder("templates")
    files = [p for p in sorted(root.rglob("*")) if p.suffix in (".c", ".h")]
    files += [templates / name for name in ("linker.ld.j2", "mcuml_config.h.j2")]
    flags = repr((FIRMWARE_FLAGS, COMMON_FLAGS, COMPILER_FLAGS))
    return hashlib.sha256(b"".join([flags.encode(), *(p.read_bytes() for p in files)])).hexdigest()[:12]


def _signature(name: str, body: str) -> Signature:
    """The integer constants that all calls of `name` in `body` share, place by place."""
    calls = [_arguments(body, match.end()) for match in re.finditer(rf"\b{name}\(", body)]
    if not calls or len({len(call) for call in calls}) != 1:
        return ()
    return tuple(
        int(column[0].rstrip("u")) if len(set(column)) == 1 and _LITERAL.fullmatch(column[0]) else None
        for column in zip(*calls, strict=True)
    )


def _arguments(text: str, at: int) -> list[str]:
    """The arguments of the call whose parenthesis opened before `at`."""
    depth, found = 1, [""]
    for letter in text[at : at + 4000]:
        depth += (letter in "({") - (letter in ")}")
        if not depth:
            break
        if letter == "," and depth == 1:
            found.append("")
        else:
            found[-1] += letter
    return [" ".join(argument.split()) for argument in found]


def estimate(wanted: Demand, core: Core, board: str) -> Estimate:
    """The image of a model with that demand for `core`, for a board of that name."""
    basis, column = _column(core)
    figures = _table()["figures"][column]
    guessed: dict[str, int] = {}
    if figures.get("firmware") != firmware_digest():
        guessed["firmware"] = round(FIRMWARE_DOUBT * figures["base"])
    libraries: set[str] = set()
    merged: set[str] = set()
    code = figures["base"] + wanted.info + 2 * wanted.name + len(board)
    for function in wanted.functions:
        size, needs, measured, body = _size(function, column)
        if body in merged:
            continue  # gcc keeps one of functions that compile to the same
        merged |= {body} - {""}
        code += size
        libraries.update(needs)
        if size and not measured:
            guessed[function.name] = size
    brought = [figures["libraries"][symbol] for symbol in sorted(libraries) if symbol in figures["libraries"]]
    pieces = {name: size for library in brought for name, size in library["pieces"].items()}
    constant, *each = figures["invoke"]
    code += sum(pieces.values())
    code += max(0, round(constant + sum(a * b for a, b in zip(each, wanted.calls, strict=True))))
    code = _up(code, WORD)
    ram = figures["ram"] + _up(wanted.arena, ARENA_ALIGN) + wanted.inputs + max((lib["ram"] for lib in brought), default=0)
    margin = round(CLOSE * (code + wanted.weights) + DOUBT * sum(guessed.values()))
    return Estimate(code, wanted.weights, _up(ram, 8), basis, margin, tuple(guessed))


def from_link(image: Linked) -> Estimate:
    """What an image takes is no estimate: nothing is guessed, and there is no margin."""
    held = image.sizes
    return Estimate(held.flash - held.weights, held.weights, held.ram, image.compiler, 0, linked=True)


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


@cache
def _table() -> Mapping[str, Any]:
    table: Mapping[str, Any] = json.loads((assets.folder("data") / DATA).read_text(encoding="utf-8"))
    return table


def _column(core: Core) -> tuple[str, str]:
    """(whose figures, their name in the table): those of the compiler that a build would take, else of another one for this
    core, else of a core that is like it."""
    figures = _table()["figures"]
    for kind in (toolchain.preferred(core), "gcc", "zig"):
        if f"{kind} {core.name}" in figures:
            return f"{figures[f'{kind} {core.name}']['compiler']}, {core.name}", f"{kind} {core.name}"
    like = next((name for name in ("zig rv32imc", "zig cortex-m33") if name in figures), next(iter(figures)))
    return f"{like}, for want of a compiler", like


def _size(function: Function, core: str) -> tuple[int, Sequence[str], bool, str]:
    """(bytes, what it needs of libraries, whether it was measured with just these constants, hash of its code or "")."""
    column = _table()["cores"].index(core)
    held = [e for e in _table()["functions"].get(function.family, []) if e["size"][column] is not None]

    def figures(entry: Mapping[str, Any]) -> tuple[int, Sequence[str], str]:
        return entry["size"][column], entry["needs"].get(core, "").split(), entry["code"].get(core, "")

    same = [entry for entry in held if entry["text"] == function.text]
    if same:
        nearest = min(same, key=lambda entry: _distance(entry["signature"], function.signature))
        size, needs, code = figures(nearest)
        return size, needs, tuple(nearest["signature"]) == function.signature, code
    if not function.stands:
        return 0, (), False, ""
    if held:
        nearest = min(held, key=lambda entry: abs(math.log(entry["length"] / function.length)))
        size, needs, _ = figures(nearest)
        return round(size * function.length / nearest["length"]), needs, False, ""
    return round(_table()["figures"][core]["per_letter"] * function.length), (), False, ""


def _distance(a: Sequence[int | None], b: Sequence[int | None]) -> float:
    """How far two signatures are apart: by ratio where both have a number."""
    if len(a) != len(b):
        return math.inf
    apart = 0.0
    for x, y in zip(a, b, strict=True):
        if (x is None) != (y is None):
            apart += 2.0
        elif x is not None and y is not None:
            apart += abs(math.log((abs(x) + 1) / (abs(y) + 1))) + (0.1 if (x < 0) != (y < 0) else 0)
    return apart
