"""The files of a model for TensorFlow Lite Micro: its bytes, the resolver with the operators it uses, the arena; and the folder
through which PlatformIO builds the library for it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from mcuml import __version__, pio, tflite
from mcuml.assets import cache_folder
from mcuml.build import CppLibrary
from mcuml.plan import ARENA_ALIGN, Plan
from mcuml.raw_model import RawModel, place
from mcuml.render import PER_LINE, render_file, tensor_info
from mcuml.tflm.arena import STEP
from mcuml.tflm.library import Library
from mcuml.tflm.operators import calls

# It decides the layout of tensors and nodes, thus the arena: the same on bare metal and with a framework. Arduino's library has
# ARDUINO in its place, but not in the header with these structures.
STATIC_MEMORY = "TF_LITE_STATIC_MEMORY"
# TFLite Micro's own build uses these; -O3 as for mcuml's C, so that both runtimes are compared at their best. CMSIS_NN chooses
# the kernels; Arduino's library has ARDUINO in its place.
FLAGS = (
    "-O3", "-ffp-contract=off", "-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics",
    f"-D{STATIC_MEMORY}", "-DCMSIS_NN", "-DARDUINO=10819",
)  # fmt: skip
NOT_OURS = "-DMODEL_PROFILE"  # with it the library would be compiled a second time to count the layers' cycles
FULLY_CONNECTED = "tensorflow/lite/micro/kernels/fully_connected.h"
UNFLAGS = ("-Os", "-std=c99")
MARK = "/* PlatformIO looks for the library that has this file. Written by mcuml. */\n"


def read(path: Path) -> tuple[bytes, RawModel]:
    """A model file's bytes, and what is in them. Raises RequestError, ModelError."""
    data = tflite.file_bytes(path)
    return data, tflite.read(data, str(path))


def doubts(raw: RawModel, library: Library) -> tuple[str, ...]:
    """What `library` computes otherwise than TFLite Micro does today. FULLY_CONNECTED learned to have a scale for each output in
    2024; before that it took the first for all of them."""
    if library.offers(FULLY_CONNECTED, "is_per_channel"):
        return ()
    graphs = (raw, *raw.others)
    weights = ((op, g, g.tensors[op.inputs[1]]) for g in graphs for op in g.operators if op.code == "FULLY_CONNECTED")
    found = [f"{place(op, g)} has {len(t.quant.scale)}" for op, g, t in weights if t.quant and not t.quant.per_tensor]
    why = f"FULLY_CONNECTED of {library.title} takes the first scale of its weights for all outputs:"
    return (f"{why} {'; '.join(found)}. Outputs will differ.",) if found else ()


def render(data: bytes, raw: RawModel, plan: Plan, library: Library, command: str = "", trial: bool = False) -> dict[str, str]:
    """{"model.h", "model.cpp", "model_weights.c"} -> text, for the model file `data`, which holds `raw`. `plan`: its tensors'
    description, and how many bytes the arena gets. trial: what it tells of its arena is not what it took but how few bytes would
    have been enough, to within arena.STEP. Raises ModelError for an operator that the library lacks."""
    graph = plan.graph
    context = {
        "plan": plan, "graph": graph, "prefix": "model", "PREFIX": "MODEL", "version": __version__, "command": command,
        "align": ARENA_ALIGN, "layers": raw.operators, "interpreted": True, "library": library.title,
        "inputs": [tensor_info(graph.tensors[t]) for t in graph.inputs],
        "outputs": [tensor_info(graph.tensors[t]) for t in graph.outputs],
        "calls": calls(raw, library.calls, library.title),
        "trial": trial, "step": STEP,
        "variables": sum(op.code == "VAR_HANDLE" for g in (raw, *raw.others) for op in g.operators),
    }  # fmt: skip
    text = ",\n".join(",".join(map(str, data[i : i + PER_LINE])) for i in range(0, len(data), PER_LINE))
    return {
        "model.h": render_file("model.h.j2", **context),
        "model.cpp": render_file("tflm_model.cpp.j2", **context),
        "model_weights.c": render_file("tflm_weights.c.j2", data=data, text=text, **context),
    }


def prepared(library: Library, cxx: tuple[str, ...], ar: tuple[str, ...]) -> CppLibrary:
    """`library`, to be compiled by `cxx` and archived by `ar`, as PlatformIO builds it on bare metal: a folder in the cache whose
    manifest tells where its sources are, which of them are left out and what flags they get. Nothing is written into the
    library's own folder."""
    filters = ["+<*>", "-<examples/>", *(f"-<{name}>" for name in library.of_framework)]
    manifest = {
        "name": "tflm", "version": "1.0.0", "description": f"{library.title}, sources' sha256 {library.sha256}",
        "build": {
            "srcDir": library.root.as_posix(), "includeDir": "include", "srcFilter": filters, "flags": [*FLAGS, "-w"],
            "unflags": [*UNFLAGS, NOT_OURS], "libLDFMode": "off", "libCompatMode": "off",
        },
    }  # fmt: skip
    text = json.dumps(manifest, indent=1)
    folder = cache_folder() / "tflm" / hashlib.sha256((text + MARK).encode()).hexdigest()[:16]
    pio.write_if_changed(folder / "tflm" / "library.json", text)
    pio.write_if_changed(folder / "tflm" / "include" / "mcuml_tflm.h", MARK)
    return CppLibrary(library.spec, folder, cxx, ar, FLAGS, UNFLAGS, library.about, (STATIC_MEMORY,))
