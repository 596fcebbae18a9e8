"""The importer: what it reads from good files, and that no bad file gets past it with anything but a UserError."""

from __future__ import annotations

import copy
import os
import re
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import modelmaker as mm
from mcuml import tflite
from mcuml.errors import ModelError, RequestError, UserError
from mcuml.raw_model import in_order
from mcuml.rewrites import REWRITES, rewrite_of
from mcuml.schema import OPERATORS, OPTIONS_OF, TENSOR_TYPES, option_fields
from mcuml.subgraphs import flatten


def small() -> bytes:
    """Two quantized layers, served by mcuml."""
    rng = np.random.default_rng(1)
    x = mm.tensor("x", "int8", (1, 6, 6, 3), 0.05, -3)
    first = mm.conv(rng, x, 4, stride=(2, 2), activation="RELU")
    second = mm.fully_connected(rng, first.outputs[0], 5)
    return mm.model([first, second], [x], second.outputs)


SMALL = small()


def changed(change, data: bytes | None = None) -> bytes:
    """SMALL (or `data`) with `change` applied to the schema's own object tree (ModelT), packed again."""
    import flatbuffers

    made = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data or SMALL, 0))
    for spec in made.subgraphs[0].operators:
        spec.inputs, spec.outputs = spec.inputs.tolist(), spec.outputs.tolist()
    change(made, made.subgraphs[0])
    builder = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def refused(data: bytes) -> UserError | None:
    """The UserError that loading `data` gives, None when it loads; anything else is a failure, and so is taking a second."""
    start = time.perf_counter()
    try:
        tflite._nodes(raw := tflite.read(data, "bad.tflite"))
        tflite.verify(tflite.Graph("g", raw.tensors, tflite._nodes(raw), raw.inputs, raw.outputs), "import")
        error = None
    except UserError as caught:
        error = caught
        assert caught.exit_code in (2, 3) and str(caught).strip()
    assert time.perf_counter() - start < 1
    return error


def test_reads_what_was_written():
    raw = tflite.read(SMALL, "small")
    assert [op.code for op in raw.operators] == ["CONV_2D", "FULLY_CONNECTED"]
    assert raw.operators[0].options["stride_w"] == 2 and raw.operators[0].options["padding"] == "SAME"
    assert raw.operators[0].options["fused_activation_function"] == "RELU" and raw.operators[0].options["dilation_w_factor"] == 1
    x, w = raw.tensors[raw.inputs[0]], raw.tensors[raw.operators[0].inputs[1]]
    assert (x.name, x.dtype, x.shape, x.zero_point) == ("x", "int8", (1, 6, 6, 3), -3) and x.scale == np.float32(0.05)
    assert (
        w.quant is not None and len(w.quant.scale) == 4 and w.quant.axis == 0 and w.data is not None and w.data.dtype == np.int8
    )


def test_load_gives_a_verified_graph(tmp_path: Path):
    path = tmp_path / "small.tflite"
    path.write_bytes(SMALL)
    graph = tflite.load(path)
    assert graph.name == "small" and graph.file_bytes == len(SMALL) and len(graph.sha256) == 64 and len(graph.nodes) == 2


@pytest.mark.parametrize("table", sorted(set(OPTIONS_OF.values())))
def test_option_tables_agree_with_the_schema(table: int):
    name = next(k for k, v in vars(schema.BuiltinOptions).items() if v == table)
    made = getattr(schema, name + "T")()
    for field in option_fields(table):
        attribute = mm._camel(field.name)
        assert hasattr(made, attribute), f"{name} has no {attribute}"
        default = getattr(made, attribute)
        assert (default or 0) == field.default, f"{name}.{attribute}"


def test_operator_and_type_names_agree_with_the_schema():
    assert {n: i for i, n in enumerate(OPERATORS)} == {k: v for k, v in vars(schema.BuiltinOperator).items() if k[0] != "_"}
    assert {n: i for i, n in enumerate(TENSOR_TYPES)} == {k: v for k, v in vars(schema.TensorType).items() if k[0] != "_"}


def test_options_are_read_from_their_own_slots():
    """Every number and boolean of every options table comes back as written, each from its own place."""
    for code, table in OPTIONS_OF.items():
        wanted = {}
        for i, field in enumerate(option_fields(table)):
            if field.kind in ("i32", "f32", "i32[]"):
                wanted[field.name] = (3 + i, 4) if field.kind == "i32[]" else 2 + i
            elif field.kind == "bool":
                wanted[field.name] = True
        x, y = mm.tensor("x", "float32", (1, 4)), mm.tensor("y", "float32", (1, 4))
        raw = tflite.read(mm.model([mm.op(code, [x], [y], **wanted)], [x], [y]), code)
        assert {k: raw.operators[0].options[k] for k in wanted} == wanted, code


def test_all_unsupported_operators_in_one_message():
    x, y, z = (mm.tensor(n, "float32", (1, 4)) for n in ("x", "curve", "where"))
    error = refused(mm.model([mm.op("GELU", [x], [y]), mm.op("RANK", [y], [z])], [x], [z]))
    assert error is not None and error.exit_code == 3
    for part in ("GELU (operator 0, output 'curve')", "RANK (operator 1, output 'where')", "bad.tflite"):
        assert part in error.what
    assert "GELU: train with HARD_SWISH or RELU6" in error.try_next and "RANK: use a constant" in error.try_next


def test_rewrites_are_for_what_is_not_served_and_name_what_is():
    served = set(tflite.ops.registry())
    assert not served & set(REWRITES) and set(REWRITES) <= set(OPERATORS)
    named = {word for text in REWRITES.values() for word in re.findall(r"\b[A-Z][A-Z0-9_]{2,}\b", text)}
    assert named <= served, named - served
    assert "Flex" in rewrite_of("CUSTOM", "FlexErf")


def test_a_custom_operator_is_named():
    x, y = (mm.tensor(n, "float32", (1, 4)) for n in "xy")
    spec = mm.op("CUSTOM", [x], [y])
    spec.custom = "MyOwn"
    assert "CUSTOM 'MyOwn' (operator 0" in str(refused(mm.model([spec], [x], [y])))


def test_operators_out_of_order_are_sorted():
    raw = tflite.read(changed(lambda model, graph: graph.operators.reverse()), "reversed")
    assert [op.code for op in raw.operators] == ["FULLY_CONNECTED", "CONV_2D"]
    assert [node.code for node in tflite._nodes(flatten(raw))] == ["CONV_2D", "FULLY_CONNECTED"]


def test_what_no_operator_names_may_be_anything():
    """Converters leave empty tensors for an LSTM's intermediates, and give a bias the quantized dimension of its weights."""
    data = changed(lambda model, graph: graph.tensors.append(copy.deepcopy(graph.tensors[0])))
    empty = changed(lambda model, graph: setattr(graph.tensors[-1], "shape", [0]), data)
    assert tflite.read(empty, "empty").tensors[-1] is tflite.UNUSED
    bias = changed(lambda model, graph: setattr(graph.tensors[3].quantization, "quantizedDimension", 3))
    assert tflite.read(bias, "bias").tensors[3].quant.axis == 0


def test_int4_constants_are_unpacked():
    packed = np.array([0x21, 0xF8, 0x07], np.uint8).view(np.int8)  # 1 2 -8 -1 7
    x, y = mm.tensor("x", "int8", (1, 5), 0.1, 0), mm.tensor("y", "int8", (1, 1), 0.1, 0)
    w = mm.const("w", packed, 0.1, 0)
    w.dtype, w.shape = "int4", (1, 5)
    raw = tflite.read(mm.model([mm.op("FULLY_CONNECTED", [x, w, None], [y])], [x], [y]), "int4")
    values = raw.tensors[raw.operators[0].inputs[1]].data
    assert values is not None and values.tolist() == [[1, 2, -8, -1, 7]]


def _cycle(model, graph) -> None:
    graph.operators[0].inputs[0] = graph.operators[1].outputs[0]


CHANGES = {
    "version": (lambda m, g: setattr(m, "version", 2), "version 2"),
    "no-subgraph": (lambda m, g: setattr(m, "subgraphs", []), "no subgraph"),
    "operator-input-out-of-range": (lambda m, g: g.operators[0].inputs.__setitem__(0, 99), "tensor 99"),
    "operator-output-out-of-range": (lambda m, g: g.operators[1].outputs.__setitem__(0, -1), "tensor -1"),
    "graph-input-out-of-range": (lambda m, g: setattr(g, "inputs", [1000000]), "tensor 1000000"),
    "graph-output-out-of-range": (lambda m, g: setattr(g, "outputs", [-7]), "tensor -7"),
    "no-output": (lambda m, g: setattr(g, "outputs", []), "no input or no output"),
    "opcode-out-of-range": (lambda m, g: setattr(g.operators[0], "opcodeIndex", 7), "operator code 7"),
    "buffer-out-of-range": (lambda m, g: setattr(g.tensors[0], "buffer", 1234), "buffer 1234"),
    "unknown-operator": (lambda m, g: setattr(m.operatorCodes[0], "builtinCode", 5000), "UNKNOWN_5000"),
    "negative-shape": (lambda m, g: setattr(g.tensors[0], "shape", [1, -6, 6, 3]), "shape [1, -6, 6, 3]"),
    "zero-shape": (lambda m, g: setattr(g.tensors[0], "shape", [1, 0, 6, 3]), "shape [1, 0, 6, 3]"),
    "overflowing-shape": (lambda m, g: setattr(g.tensors[0], "shape", [2**31 - 1] * 4), "larger than any memory"),
    "long-shape": (lambda m, g: setattr(g.tensors[0], "shape", [1] * 5000), "at most 8"),
    "constant-too-short": (lambda m, g: setattr(g.tensors[2], "shape", [4, 3, 3, 4]), "its buffer holds"),
    "dynamic-shape": (lambda m, g: setattr(g.tensors[0], "shapeSignature", [1, -1, 6, 3]), "change at run time"),
    "sparse": (lambda m, g: setattr(g.tensors[2], "sparsity", schema.SparsityParametersT()), "sparse"),
    "string-tensor": (lambda m, g: setattr(g.tensors[0], "type", 5), "type string"),
    "unknown-type": (lambda m, g: setattr(g.tensors[0], "type", 77), "type number 77"),
    "negative-scale": (lambda m, g: setattr(g.tensors[0].quantization, "scale", [-1.0]), "not a positive number"),
    "nan-scale": (lambda m, g: setattr(g.tensors[0].quantization, "scale", [float("nan")]), "not a positive number"),
    "zero-point-count": (lambda m, g: setattr(g.tensors[2].quantization, "zeroPoint", [0, 0]), "4 scales but 2 zero points"),
    "zero-point-range": (lambda m, g: setattr(g.tensors[0].quantization, "zeroPoint", [400]), "outside int8"),
    "channel-axis": (lambda m, g: setattr(g.tensors[2].quantization, "quantizedDimension", 1), "along dimension 1"),
    "variable": (lambda m, g: setattr(g.tensors[0], "isVariable", True), "is a variable and an input"),
    "written-twice": (lambda m, g: g.operators[1].outputs.__setitem__(0, g.operators[0].outputs[0]), ""),
    "cycle": (_cycle, "cycle"),
    "self-cycle": (lambda m, g: g.operators[0].inputs.__setitem__(0, g.operators[0].outputs[0]), "cycle"),
    "options-of-another": (lambda m, g: setattr(g.operators[0], "builtinOptionsType", 8), "options of type 8"),
    "activation-enum": (lambda m, g: setattr(g.operators[0].builtinOptions, "fusedActivationFunction", 99), "does not exist"),
    "external-buffer": (lambda m, g: m.buffers[1].__dict__.update(offset=1 << 40, size=64), "outside the file"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_damaged_models_are_refused_with_the_reason(case: str):
    change, expected = CHANGES[case]
    error = refused(changed(change))
    assert error is not None and error.exit_code == 3, case
    assert expected in str(error)


def test_every_truncation_is_refused():
    for length in range(0, len(SMALL), 7):
        refused(SMALL[:length])
    assert all(refused(SMALL[:n]) for n in (0, 1, 4, 7, 8, 40, len(SMALL) // 2))


@pytest.mark.parametrize("seed", range(3))
def test_flipped_bytes_never_escape(seed: int):
    rng = np.random.default_rng(seed)
    for _ in range(300):
        data = bytearray(SMALL)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(0, 256))])
        refused(bytes(data))


def test_huge_words_anywhere_never_escape():
    resource = pytest.importorskip("resource", reason="Peak memory is read through POSIX getrusage, which is missing here.")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for place in range(0, len(SMALL) - 4, 4):
        for word in (0xFFFFFFFF, 0x7FFFFFFF, 0x10000000):
            refused(SMALL[:place] + struct.pack("<I", word) + SMALL[place + 4 :])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB: 100 MB


FILES = {
    "text": (b"this is not a model, it is a text file\n" * 4, ModelError, "not a TFLite model"),
    "empty": (b"", ModelError, "empty"),
    "identifier-only": (b"\x00\x00\x00\x00TFL3", ModelError, "damaged"),
    "zeros-after": (b"\x10\x00\x00\x00TFL3" + bytes(100), ModelError, "damaged"),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_are_no_models(case: str, tmp_path: Path):
    data, kind, expected = FILES[case]
    path = tmp_path / f"{case}.tflite"
    path.write_bytes(data)
    with pytest.raises(kind) as caught:
        tflite.load(path)
    assert expected in str(caught.value) and str(path) in str(caught.value)


def test_paths_that_are_no_files(tmp_path: Path):
    places = [tmp_path, tmp_path / "missing.tflite", tmp_path / "a" / "b", Path("x\0y"), tmp_path / ("n" * 5000)]
    if Path("/dev/zero").exists():
        places.append(Path("/dev/zero"))
    if os.name == "posix" and os.geteuid() != 0:  # root reads everything
        places.append(tmp_path / "secret.tflite")
        places[-1].write_bytes(SMALL)
        places[-1].chmod(0)
    for place in places:
        with pytest.raises(RequestError) as caught:
            tflite.load(place)
        assert str(place) in str(caught.value)


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "locked.tflite"
    path.write_bytes(SMALL)

    def denied(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(RequestError, match=r"locked\.tflite"):
        tflite.load(path)


def test_shared_models_are_read(shared: Path):
    for path in sorted((shared / "models").glob("*/*.tflite")):
        raw = tflite.read(path.read_bytes(), path.name)
        assert raw.operators and len(in_order(raw)) == len(raw.operators)


@pytest.mark.parametrize(
    "name, scheme",
    [
        ("mlperf_tiny/ad01_int8", "int8"),
        ("cnn_on_mcu/13_fashion_mnist_integeronly_model", "int8"),  # float32 at its ends
        ("mlperf_tiny/pretrainedResnet", "float32"),
        ("mlperf_tiny/kws_ref_model_float32", "dynamic"),
        ("cnn_on_mcu/10_fashion_mnist_float16_model", "float16"),
    ],
)
def test_scheme(shared, name, scheme):
    assert tflite.load(shared / "models" / f"{name}.tflite").scheme == scheme
