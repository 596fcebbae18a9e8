"""Many models at once: mcuml's C for this computer against TFLite Micro, layer by layer.

After each layer its outputs are compared and replaced by the oracle's, so that every layer is judged on the oracle's own
inputs: a float that is one rounding off does not become a wrong integer further on."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fuzz.draft import Sketch
from fuzz.oracle import Oracle, Refused
from mcuml import ops, passes, render, tflite
from mcuml.errors import ModelError
from mcuml.graph import ABSENT, Graph, Node, Tensor, verify
from mcuml.plan import Plan, plan
from ops import builds

TOLERANCE = 1e-5  # of floats, relative to the largest value of the tensor or 1
SAMPLES = ("random", "ends")
Hook = ctypes.CFUNCTYPE(None, ctypes.c_int)


@dataclass(frozen=True)
class Finding:
    """What went wrong with one graph. `layer` is the position of the failing node in the lowered graph, if it is one."""

    kind: str  # "difference", "refused by mcuml", "refused by TFLite Micro", "build", "memory"
    text: str
    sample: int = 0
    node: Node | None = None
    values: dict[int, np.ndarray] | None = None  # the oracle's, of the failing sample


def imported(data: bytes, name: str = "fuzz") -> Graph:
    """The graph of a .tflite file's bytes. Raises ModelError."""
    raw = tflite.flatten(tflite.read(data, name))
    digest = hashlib.sha256(data).hexdigest()
    return verify(Graph(name, raw.tensors, tflite._nodes(raw), raw.inputs, raw.outputs, digest), "import")


def accepts(sketch: Sketch) -> bool:
    """Whether mcuml takes the model."""
    try:
        ops.lower(imported(sketch.bytes))
    except ModelError:
        return False
    return True


class Candidate:
    """One model on its way: plan, C and inputs, as builds._unit and run() want them."""

    def __init__(self, sketch: Sketch):
        self.sketch, self.data = sketch, sketch.bytes
        self.prefix = "m" + hashlib.sha256(self.data).hexdigest()[:12]
        graph = imported(self.data)
        self.original = graph
        self.planned: Plan = plan(verify(ops.lower(passes.run(graph)), "kernel selection"))
        files = render.render_model(self.planned, self.prefix)
        upper = self.prefix.upper()
        self.files = {n: t for n, t in files.items() if n.endswith(".h")}
        self.files[f"{self.prefix}.c"] = f"#define {upper}_PROFILE\n{files[f'{self.prefix}.c']}{HOOKED.format(self.prefix)}"
        self.files[f"{self.prefix}_weights.c"] = files[f"{self.prefix}_weights.c"]

    @property
    def layers(self) -> list[Node]:
        return [node for node in self.planned.graph.nodes if node.kernel and not node.kernel.view]

    def samples(self) -> list[list[np.ndarray]]:
        if self.sketch.fixed:
            return self.sketch.fixed
        rng = np.random.default_rng(self.sketch.seed)
        kinds = SAMPLES * (3 if self.stateful else 1)
        return [[values(rng, self.original.tensors[t], kind) for t in self.original.inputs] for kind in kinds]

    @property
    def stateful(self) -> bool:
        return any(t.variable for t in self.planned.graph.tensors)

    @property
    def wanted(self) -> list[int]:
        """What the oracle is asked for: inputs and what operators compute, but for what is inside called subgraphs."""
        computed = {t for node in self.original.nodes for t in node.outputs if t < len(self.sketch.tensors)}
        return sorted({*self.original.inputs, *computed})

    def written(self) -> list[tuple[int, ...]]:
        """For each layer the tensors that it is the last to write. What an IF or WHILE gives is there at its end."""
        found, open_blocks = [], list[tuple[int, ...]]()
        for node in self.layers:
            if node.code in ("IF", "WHILE"):
                open_blocks.append(node.outputs)
                found.append(())
            else:
                found.append(open_blocks.pop() if node.code in ("IF:end", "WHILE:end") else node.outputs)
        return found


HOOKED = """
#undef LAYER_DONE
void {0}_layer_done(int index) {{ fuzz_hook(index); }}
"""
HOOK = "void (*fuzz_hook)(int);\n"


def values(rng: np.random.Generator, tensor: Tensor, kind: str) -> np.ndarray:
    """An input: all of an 8-bit or 16-bit type, or ("ends") many values at its ends; small int32 values; normal floats."""
    if tensor.dtype == "float32":
        made = rng.normal(0, 2, tensor.shape)
        return np.where(rng.random(tensor.shape) < 0.1 * (kind == "ends"), 0, made).astype(np.float32)
    if tensor.dtype == "bool":
        return np.asarray(rng.integers(0, 2, tensor.shape), bool)
    if tensor.dtype in ("int32", "int64"):
        return np.asarray(rng.integers(-20, 21, tensor.shape), tensor.dtype)
    info = np.iinfo(tensor.dtype)
    made = rng.integers(info.min, info.max, tensor.shape, endpoint=True)
    ends = np.where(rng.random(tensor.shape) < 0.5, info.min, info.max)
    return np.where(rng.random(tensor.shape) < (0.5 if kind == "ends" else 0.02), ends, made).astype(tensor.dtype)


def judge(sketches: Sequence[Sketch], oracle: Oracle, flags: Sequence[str] = ()) -> list[Finding | None]:
    """For each graph the first thing that is wrong with it, None when it agrees with the oracle at every layer."""
    found: list[Finding | None] = [None] * len(sketches)
    good: dict[int, Candidate] = {}
    for i, sketch in enumerate(sketches):
        try:
            good[i] = Candidate(sketch)
        except Exception as error:  # a crash of the compiler is a finding as well
            found[i] = Finding("refused by mcuml", f"{type(error).__name__}: {error}")
    try:
        library = build(list(good.values()), flags)
    except AssertionError as error:
        if len(good) > 1:
            half = len(sketches) // 2
            return judge(sketches[:half], oracle, flags) + judge(sketches[half:], oracle, flags)
        return [f or Finding("build", str(error)[:2000]) for f in found]
    for i, candidate in good.items():
        found[i] = run(candidate, library, oracle)
    return found


def build(candidates: Sequence[Candidate], flags: Sequence[str] = ()) -> ctypes.CDLL:
    """All models in one shared library. Raises AssertionError with the compiler's words."""
    # Compiling takes most of the time: gcc without optimization is four times as fast as the clang that tests/ops builds with.
    gcc = bool(shutil.which("gcc"))
    tools = builds.toolchain.host("gcc" if gcc else "")
    command = ["-std=c99", "-O0" if gcc else "-O1", "-ffp-contract=off", "-shared", "-fPIC", *builds.WARNINGS, *flags]
    with tempfile.TemporaryDirectory(prefix="mcuml-fuzz-", ignore_cleanup_errors=True) as folder:
        (Path(folder) / "hook.h").write_text(HOOK)
        command += ["-include", "hook.h"]
        builds._compile([*tools.command, *command, *tools.compile, "@", "-o", "models.so", "-lm"], candidates, Path(folder))
        return ctypes.CDLL(str(Path(folder) / "models.so"))


def run(candidate: Candidate, library: ctypes.CDLL, oracle: Oracle) -> Finding | None:
    """Every layer of every sample against the oracle."""
    samples = candidate.samples()
    graph = candidate.planned.graph
    wanted = candidate.wanted
    try:
        answers = oracle.ask(candidate.data, samples, wanted)
    except Refused as refused:
        return Finding("refused by TFLite Micro", str(refused))
    memory = Arena(candidate, library, 0)
    for number, (sample, answer) in enumerate(zip(samples, answers, strict=True)):
        if number and not candidate.stateful:  # other garbage
            memory = Arena(candidate, library, number)
        for t, node_outputs in ((t, graph.tensors[t]) for t in wanted):
            answer[t] = answer[t].reshape(node_outputs.shape)
        finding = _sample(candidate, library, memory, sample, answer, number)
        if finding:
            return finding
    return None


def _sample(
    candidate: Candidate, library: ctypes.CDLL, memory: Arena, sample: Sequence[np.ndarray], answer: dict[int, np.ndarray],
    number: int,
) -> Finding | None:  # fmt: skip
    graph, offsets, layers, written = candidate.planned.graph, candidate.planned.offsets, candidate.layers, candidate.written()
    wrong: list[Finding] = []

    def check(index: int) -> None:
        node = layers[index]
        for t in () if wrong else written[index]:
            if t not in answer:
                continue
            wanted, place = answer[t], memory.address + offsets[t]
            got = np.frombuffer(ctypes.string_at(place, wanted.nbytes), wanted.dtype).reshape(wanted.shape)
            said = "" if undefined(node, graph, answer) else difference(got, wanted)
            if said:
                wrong.append(Finding("difference", f"{node.code} (operator {node.index}): {said}", number, node, answer))
            ctypes.memmove(place, wanted.tobytes(), wanted.nbytes)

    hook = Hook(check)
    ctypes.c_void_p.in_dll(library, "fuzz_hook").value = ctypes.cast(hook, ctypes.c_void_p).value
    source = getattr(library, f"{candidate.prefix}_input")
    target = getattr(library, f"{candidate.prefix}_output")
    source.restype = target.restype = ctypes.c_void_p
    arena = ctypes.c_void_p(memory.address)
    for i, value in enumerate(sample):
        ctypes.memmove(source(arena, i), value.tobytes(), value.nbytes)
    status = getattr(library, f"{candidate.prefix}_invoke")(arena)
    if wrong:
        return wrong[0]
    if status:
        return Finding("difference", f"invoke returned {status}", number, None, answer)
    for i, t in enumerate(graph.outputs):  # a later layer must not have written over one; views have no layer
        wanted = answer[t] if t in answer else graph.tensors[t].data
        got = np.frombuffer(ctypes.string_at(target(arena, i), wanted.nbytes), wanted.dtype).reshape(wanted.shape)
        said = difference(got, wanted)
        if said:
            return Finding("difference", f"output {i} '{graph.tensors[t].name}' at the end: {said}", number, None, answer)
    changed = memory.changed()
    return Finding("memory", changed, number, None, answer) if changed else None


class Arena:
    """A model's arena, full of garbage before model_init, between canaries."""

    GUARD = 256

    def __init__(self, candidate: Candidate, library: ctypes.CDLL, seed: int):
        size = candidate.planned.arena_bytes
        self._before = np.random.default_rng(seed).integers(0, 256, size + 2 * self.GUARD, dtype=np.uint8).tobytes()
        self._buffer = ctypes.create_string_buffer(len(self._before) + render.ARENA_ALIGN)
        self._start = -(-ctypes.addressof(self._buffer) // render.ARENA_ALIGN) * render.ARENA_ALIGN
        ctypes.memmove(self._start, self._before, len(self._before))
        self.address = self._start + self.GUARD
        getattr(library, f"{candidate.prefix}_init")(ctypes.c_void_p(self.address))

    def changed(self) -> str:
        """Which canary changed, "" when none did."""
        after, g = ctypes.string_at(self._start, len(self._before)), self.GUARD
        ends = {"in front of": after[:g] != self._before[:g], "behind": after[-g:] != self._before[-g:]}
        return " and ".join(f"bytes {place} the arena changed" for place, bad in ends.items() if bad)


def undefined(node: Node, graph: Graph, answer: dict[int, np.ndarray]) -> bool:
    """Whether the node turns floats into integers that cannot hold them, which C does not define, has no whole frame
    yet, or is a convolution of floats that are none: those of mcuml leave NaN where TFLite Micro clamps it."""
    if node.code in ("CUSTOM:SignalFramer", "CUSTOM:SignalStacker"):
        return not answer[node.outputs[1]].all()
    if node.code.startswith("CONV_2D") and node.inputs[0] in answer and graph.tensors[node.inputs[0]].dtype == "float32":
        return not np.isfinite(answer[node.inputs[0]]).all()
    if node.code not in ("QUANTIZE", "CAST") or graph.tensors[node.inputs[0]].dtype != "float32":
        return False
    t = node.inputs[0]
    read = answer.get(t) if t != ABSENT and t in answer else graph.tensors[t].data
    to = graph.tensors[node.outputs[0]]
    most = 2.0**31 * to.scale if node.code == "QUANTIZE" else float(np.iinfo(to.dtype).max) if to.dtype != "float32" else np.inf
    return read is not None and not bool(np.all(np.abs(read) < most))


def difference(got: np.ndarray, wanted: np.ndarray) -> str:
    """ "" when equal (floats: within TOLERANCE, infinities and NaNs in the same places), else the first difference. What is
    too large for a float counts as infinite: where nothing is fused, some kernels of TFLite Micro clamp to the largest one."""
    if wanted.dtype.kind == "f":
        got, wanted = (np.where(np.abs(a) == np.finfo(a.dtype).max, np.copysign(np.float32(np.inf), a), a) for a in (got, wanted))
        finite = np.isfinite(wanted)
        limit = TOLERANCE * max(1.0, float(np.abs(wanted[finite]).max(initial=0)))
        with np.errstate(invalid="ignore"):
            same = (got == wanted) | (np.isnan(got) & np.isnan(wanted)) | (finite & (np.abs(got - wanted) <= limit))
    else:
        same = got == wanted
    if same.all():
        return ""
    first = tuple(int(i) for i in np.argwhere(~same)[0])
    return f"{int((~same).sum())} of {same.size} differ; element {list(first)} is {got[first]}, TFLite Micro says {wanted[first]}"
