"""Plan -> C text; the only user of Jinja. Pure: the same plan gives the same bytes."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import jinja2.bccache
import numpy as np

from mcuml import __version__, assets, ops
from mcuml.cores import Core
from mcuml.errors import RequestError
from mcuml.graph import ABSENT, Kernel, Node, Tensor, shown
from mcuml.plan import ARENA_ALIGN, Plan

C_TYPES = {
    "int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "uint16": "uint16_t", "int32": "int32_t",
    "uint32": "uint32_t", "int64": "int64_t", "uint64": "uint64_t", "float32": "float", "bool": "uint8_t",
}  # fmt: skip
FUNCTION_BREAK = "%%\n"  # a line that parts one C function from the next in a kernel's functions() macro
PER_LINE = 24  # constants
COMPILER_FLAGS = ("-std=c99", "-O3", "-ffp-contract=off")  # contraction would change float results between compilers


class _Compiled(jinja2.FileSystemBytecodeCache):
    """Templates compiled to Python, a third of the time of a compile. A folder that cannot be written costs that third."""

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        with contextlib.suppress(OSError):
            super().dump_bytecode(bucket)


def _bytecode() -> jinja2.BytecodeCache | None:
    place = assets.cache_folder() / "templates"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return _Compiled(str(place))


def _environment() -> jinja2.Environment:
    return _environment_with(os.environ.get(ops.FOLDER, ""))


@cache
def _environment_with(kernels: str) -> jinja2.Environment:
    """Our templates, and a user's own kernels where that folder is given."""
    loaders: list[jinja2.BaseLoader] = [jinja2.FileSystemLoader(str(assets.folder("templates")))]
    if kernels:
        loaders.append(jinja2.PrefixLoader({"kernels": jinja2.FileSystemLoader(kernels)}))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: _float(value) if isinstance(value, float) else value,
        bytecode_cache=_bytecode(),
    )
    environment.filters["real"] = _float  # where an expression needs the text of a C float before it is output
    return environment


def render_file(template: str, **context: Any) -> str:
    """The text of templates/<template> with `context`; a name that the template uses and the context lacks is an error."""
    return _environment().get_template(template).render(**context)


@dataclass(frozen=True)
class Io:
    """What a kernel's call() macro sees: C pointer expressions, typed, for one layer; inputs are const but for variables."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scratch: str
    const: Mapping[str, str]


def render_model(plan: Plan, prefix: str = "model", command: str = "", core: Core | None = None) -> dict[str, str]:
    """{"<prefix>.h", "<prefix>.c", "<prefix>_weights.c", "<prefix>.json"} -> text. `command` goes into the headers. The C is
    the same for every core, and takes a core's instructions by what its compiler defines; the flags in the .json are `core`'s."""
    graph = plan.graph
    symbols = _Symbols(prefix)
    functions: dict[str, None] = {}
    depth = 1
    layers: list[dict[str, Any]] = []
    for n, node in enumerate(graph.nodes):
        kernel = node.kernel
        if kernel is None or kernel.view:
            continue
        consts = {c.role: symbols.name(f"{node.index}_{c.role}", c.data) for c in kernel.constants}
        io = Io(
            tuple(_pointer(plan, t, symbols, const=t == ABSENT or not graph.tensors[t].variable) for t in node.inputs),
            tuple(_pointer(plan, t, symbols, const=False) for t in node.outputs),
            f"(arena + {plan.scratch[n]})" if kernel.scratch else "0",
            consts,
        )
        shared, statement = _kernel(node, kernel, io)
        for text in shared.split(FUNCTION_BREAK):
            functions.setdefault(text.strip())
        index = len(layers)
        text = f"/* {_title(plan, node)} */\n{statement}\nLAYER_DONE({index});"
        text, depth = _indented(text, depth)
        layers.append({"node": node, "index": index, "text": text})
    outputs = tuple(_pointer(plan, t, symbols, const=True) for t in graph.outputs)
    context = {
        "plan": plan, "graph": graph, "prefix": prefix, "PREFIX": prefix.upper(), "version": __version__, "command": command,
        "align": ARENA_ALIGN, "functions": [f for f in functions if f], "layers": layers, "symbols": symbols.declared(),
        "input_offsets": [plan.offsets[t] for t in graph.inputs], "output_pointers": outputs,
        "inputs": [tensor_info(graph.tensors[t]) for t in graph.inputs],
        "outputs": [tensor_info(graph.tensors[t]) for t in graph.outputs],
        "state": _state(plan), "interpreted": False,
    }  # fmt: skip
    return {
        f"{prefix}.h": render_file("model.h.j2", **context),
        f"{prefix}.c": render_file("model.c.j2", **context),
        f"{prefix}_weights.c": render_file("model_weights.c.j2", arrays=symbols.arrays(), **context),
        f"{prefix}.json": json.dumps(_summary(plan, layers, symbols, core), indent=1) + "\n",
    }


def _kernel(node: Node, kernel: Kernel, io: Io) -> tuple[str, str]:
    """(the C functions of a kernel, the statements that call them). Raises RequestError for a fault in a user's template."""
    try:
        module: Any = _environment().get_template(f"kernels/{kernel.template}.c.j2").module
        return module.functions(kernel.params), module.call(kernel.params, io).strip()
    except (jinja2.TemplateError, AttributeError) as error:
        place = f"{kernel.template}.c.j2, the template of {node.code}"
        raise RequestError(f"There is a fault in {place}.", f"{type(error).__name__}: {error}", "Correct it.") from error


def _indented(text: str, depth: int) -> tuple[str, int]:
    """(a layer's C indented for `depth` open blocks, the blocks open after it): control flow opens some and closes others."""
    lines, opened = [], 0
    for line in text.splitlines():
        closes = line.startswith("}") and opened == 0
        lines.append("    " * (depth - closes) + line if line.strip() else "")
        opened += line.count("{") - line.count("}")
        if opened < 0:
            depth, opened = depth + opened, 0
    return "\n".join(lines), depth + opened


class _Symbols:
    """Names for constants; equal bytes of one type get one name."""

    def __init__(self, prefix: str):
        self._prefix = prefix
        self._by_content: dict[tuple[str, bytes], str] = {}

    def name(self, wanted: str, data: np.ndarray) -> str:
        key = (data.dtype.name, np.ascontiguousarray(data).tobytes())
        return self._by_content.setdefault(key, f"{self._prefix}_{wanted}")

    def declared(self) -> list[tuple[str, str, int]]:
        """(C type, symbol, elements) of each constant."""
        return [(C_TYPES[d], name, len(raw) // np.dtype(d).itemsize) for (d, raw), name in self._by_content.items()]

    def arrays(self) -> list[tuple[str, str, str]]:
        """(C type, symbol, initializer text) of each constant."""
        return [(C_TYPES[d], name, _initializer(np.frombuffer(raw, d))) for (d, raw), name in self._by_content.items()]

    @property
    def bytes(self) -> int:
        return sum(len(raw) for _, raw in self._by_content)


def _initializer(values: np.ndarray) -> str:
    """Comma-separated C constants, PER_LINE to a line; floats with the nine digits that identify a float32."""
    if values.dtype == np.float32:
        return _floats(values)
    text = list(map(str, values.astype(np.uint8).tolist() if values.dtype == np.bool_ else values.tolist()))
    if values.dtype in (np.int32, np.int64):  # -2147483648 is not an int constant in C, and likewise with 64 bits
        low = np.iinfo(values.dtype).min
        text = [v if v != str(low) else f"({low + 1} - 1)" for v in text]
    if values.dtype == np.uint64:
        text = [f"{v}u" for v in text]
    return ",\n".join(",".join(text[i : i + PER_LINE]) for i in range(0, len(text), PER_LINE))


def _floats(values: np.ndarray) -> str:
    """The same for float32: a large model has millions, so a whole line is formatted at once where every value has its point
    or its exponent of itself."""
    with np.errstate(invalid="ignore"):
        odd = ~np.isfinite(values) | (np.rint(values.astype(np.float64)) == values) | (np.abs(values) > 1e7)
    held, lines, whole = values.tolist(), [], ",".join(["%.9gf"] * PER_LINE)
    mixed = np.add.reduceat(odd, range(0, len(odd), PER_LINE)) if len(odd) else odd
    for i, special in zip(range(0, len(held), PER_LINE), mixed.tolist(), strict=True):
        line = held[i : i + PER_LINE]
        lines.append(",".join(map(_float, line)) if special or len(line) < PER_LINE else whole % tuple(line))
    return ",\n".join(lines)


def _float(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return "NAN" if value != value else "INFINITY" if value > 0 else "-INFINITY"
    text = f"{value:.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def _pointer(plan: Plan, t: int, symbols: _Symbols, const: bool) -> str:
    if t == ABSENT:
        return "0"
    tensor, offset = plan.graph.tensors[t], plan.offsets[t]
    if tensor.data is not None:
        # Only an expression: a constant that no kernel names is not written out.
        return f"{symbols.name(f'tensor_{t}', tensor.data)}" if t in plan.graph.outputs else "0"
    return f"({'const ' if const else ''}{C_TYPES[tensor.dtype]} *)(arena + {offset})"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _title(plan: Plan, node: Node) -> str:
    """ "3 CONV_2D int8 1x25x5x64 by 64x1x1x64 -> 1x25x5x64, 512,000 MACs, about 580,000 cycles on a Cortex-M4": the comment above
    a layer. Inputs that are computed, then those in flash but for vectors; cycles where the kernel has an estimate."""
    tensors = plan.graph.tensors
    read = [tensors[t] for t in node.inputs if t != ABSENT]
    computed = ", ".join(_shape(t) for t in read if not t.is_const) or _shape(read[0])
    held = ", ".join(_shape(t) for t in read if t.is_const and len(t.shape) > 1)
    told = f"{node.index} {node.code} {read[0].dtype} {computed}{f' by {held}' if held else ''} -> {_shape(tensors[shown(node)])}"
    if node.kernel and node.kernel.macs:
        told += f", {node.kernel.macs:,} MACs"
    if node.kernel and node.kernel.cycles:
        told += f", about {_rounded(node.kernel.cycles):,} cycles on a Cortex-M4"
    return told


def _rounded(value: int) -> int:
    """`value` to two digits: more would say more than an estimate knows."""
    return int(float(f"{value:.2g}"))


def tensor_info(tensor: Tensor) -> dict[str, Any]:
    """What <prefix>_tensor says about an input or output."""
    quantized = tensor.quant is not None and tensor.quant.per_tensor
    return {
        "name": "".join(c if 32 <= ord(c) < 127 and c not in '"\\' else "_" for c in tensor.name).replace("?", "_"),
        "type": tensor.dtype, "shape": tensor.shape, "bytes": tensor.bytes,
        "scale": _float(tensor.scale if quantized else 0.0), "zero_point": tensor.zero_point if quantized else 0,
    }  # fmt: skip


def _state(plan: Plan) -> list[tuple[int, int, int]]:
    """(offset, byte, bytes) of each variable: what model_init fills it with."""
    held = [(plan.offsets[t], tensor) for t, tensor in enumerate(plan.graph.tensors) if tensor.variable]
    return [(at, (t.zero_point if t.quant and t.quant.per_tensor else 0) & 255, t.bytes) for at, t in held if at is not None]


def _summary(plan: Plan, layers: list[dict[str, Any]], symbols: _Symbols, core: Core | None) -> dict[str, Any]:
    """model.json: the plan as data."""
    graph = plan.graph

    def tensor(t: int) -> dict[str, Any]:
        held = graph.tensors[t]
        quantized = {"scale": held.scale, "zero_point": held.zero_point} if held.quant and held.quant.per_tensor else {}
        return {"name": held.name, "dtype": held.dtype, "shape": list(held.shape), "offset": plan.offsets[t], **quantized}

    return {
        "mcuml": __version__, "model": {"name": graph.name, "sha256": graph.sha256, "bytes": graph.file_bytes, "macs": graph.macs,
                                        "scheme": graph.scheme},
        "optimize": plan.objective,
        "arena_bytes": plan.arena_bytes, "arena_bound_bytes": plan.bound_bytes, "weights_bytes": symbols.bytes,
        **({"core": core.name} if core else {}), "compiler_flags": [*(core.gcc_flags if core else ()), *COMPILER_FLAGS],
        "inputs": [tensor(t) for t in graph.inputs], "outputs": [tensor(t) for t in graph.outputs],
        "layers": [
            {"index": layer["index"], "operator": layer["node"].index, "op": layer["node"].code,
             "name": graph.tensors[shown(layer["node"])].name, "macs": layer["node"].kernel.macs,
             "inputs": [tensor(t) for t in layer["node"].inputs if t != ABSENT and not graph.tensors[t].is_const],
             "outputs": [tensor(t) for t in layer["node"].outputs],
             "scratch_bytes": layer["node"].kernel.scratch,
             "constant_bytes": layer["node"].kernel.constant_bytes}
            for layer in layers
        ],
    }  # fmt: skip


def write(files: Mapping[str, str], folder: Path) -> None:
    """Write each file under `folder`, each to a temporary name first. Raises RequestError naming folder and cause."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
            try:
                with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as f:
                    f.write(text)
                Path(temporary).chmod(0o644)
                Path(temporary).replace(folder / name)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise RequestError(
            f"Cannot write to {folder}.", f"{type(error).__name__}: {error.strerror or error}", "Choose another folder with -o."
        ) from error
