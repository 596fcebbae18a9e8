"""A .tflite file's bytes become a Graph: every field checked, every operator that mcuml lacks named at once."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mcuml import ops, schema
from mcuml.errors import ModelError, RequestError
from mcuml.flatbuf import Reader, Table
from mcuml.graph import ABSENT, OPENERS, Graph, Node, Tensor, is_mark, verify
from mcuml.raw_model import RawModel, RawOperator, place
from mcuml.rewrites import rewrite_of
from mcuml.subgraphs import flatten
from mcuml.tflite_tensor import tensor

UNUSED = Tensor("unused", "uint8", (1,))
MAX_FILE_BYTES = 64 << 20  # the largest board served has 32 MB of flash; a bigger file is somebody's mistake


def load(path: Path) -> Graph:
    """The model file at `path` as a verified Graph, nodes in executable order with typed attributes.

    Raises RequestError when the file cannot be read; ModelError when it is no TFLite model, is damaged, or uses what mcuml
    does not serve (all unsupported operators in one message)."""
    path = Path(path)
    data = file_bytes(path)
    raw = flatten(read(data, str(path)))
    graph = Graph(
        path.stem,
        raw.tensors,
        _nodes(raw),
        raw.inputs,
        raw.outputs,
        sha256=hashlib.sha256(data).hexdigest(),
        file_bytes=len(data),
        scheme=_scheme(raw),
    )
    try:
        return verify(graph, after="import")
    except ModelError as error:
        raise ModelError(f"'{path}': {error.what}", error.evidence, error.try_next) from None


def _scheme(raw: RawModel) -> str:
    """int8, int16x8, float32, float16 or dynamic, by the types of the constants and of the tensors between them."""
    constants = {t.dtype for t in raw.tensors if t.is_const}
    activations = {t.dtype for t in raw.tensors if not t.is_const}
    signs = {
        "float16": "float16" in constants, "int8": "int8" in activations, "int16x8": "int16" in activations,
        "dynamic": "int8" in constants,
    }  # fmt: skip
    return next((scheme for scheme, seen in signs.items() if seen), "float32")


def file_bytes(path: Path) -> bytes:
    """The bytes of `path`; a missing, special, unreadable or too big file is an error that names it."""
    try:
        if path.exists() and not path.is_file():
            raise RequestError(f"'{path}' is not a file.", "", "Give the path of a .tflite model.")
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ModelError(
                f"'{path}' is too large for any microcontroller: {size} bytes.", f"The limit is {MAX_FILE_BYTES} bytes."
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise RequestError(f"There is no model file '{path}'.", "", "Check the path and the spelling.") from None
    except (OSError, ValueError) as error:
        raise RequestError(
            f"The model file '{path}' cannot be read.", str(error), "Check the path and its permissions."
        ) from None


def read(data: bytes, name: str) -> RawModel:
    """Decode `data`, the bytes of a .tflite file; `name` stands for it in messages. Raises ModelError."""
    if len(data) < 8 or data[4:8] != schema.IDENTIFIER:
        raise ModelError(
            f"'{name}' is not a TFLite model.",
            f"A .tflite file has 'TFL3' at byte 4; this one has {data[4:8]!r} and {len(data)} bytes." if data else "It is empty.",
            "Convert the model to .tflite first (tf.lite.TFLiteConverter).",
        )
    reader = Reader(data, name)
    model = reader.root()
    version = model.integer(0, "u32", "version")
    if version != schema.VERSION:
        reader.fail(f"it has schema version {version}, not {schema.VERSION}", model.at)
    subgraphs = model.tables(2, "subgraph")
    if not subgraphs:
        reader.fail("it has no subgraph", model.at)
    buffers = model.tables(4, "buffer")
    codes = [_code(entry) for entry in model.tables(1, "operator code")]
    first, *others = (_subgraph(graph, buffers, codes, name) for graph in subgraphs)
    return replace(first, others=tuple(others))


def _subgraph(graph: Table, buffers: list[Table], codes: list[tuple[str, str]], name: str) -> RawModel:
    tables = graph.tables(0, "tensor")
    operators = tuple(_operator(i, table, codes, len(tables)) for i, table in enumerate(graph.tables(3, "operator")))
    inputs = _indices(graph, 1, "inputs", len(tables), 0)
    outputs = _indices(graph, 2, "outputs", len(tables), 0)
    # What no operator reads or writes may be anything: converters leave empty tensors for an LSTM's intermediates.
    used = {*inputs, *outputs, *(t for op in operators for t in (*op.inputs, *op.outputs))}
    tensors = tuple(tensor(i, table, buffers) if i in used else UNUSED for i, table in enumerate(tables))
    return RawModel(name, tensors, operators, inputs, outputs)


def _code(table: Table) -> tuple[str, str]:
    """Builtin name and custom name of one operator code. Old files keep the code in a byte, newer ones in a word."""
    code = max(table.integer(0, "i8", "code"), table.integer(3, "i32", "code"))
    if not 0 <= code < len(schema.OPERATORS):
        return f"UNKNOWN_{code}", ""
    return schema.OPERATORS[code], table.string(1, "custom code")


def _indices(table: Table, slot: int, what: str, count: int, lowest: int) -> tuple[int, ...]:
    """Tensor numbers in `slot`, each in lowest .. count-1."""
    found = table.integers(slot, "i32", what)
    for t in found:
        if not lowest <= t < count:
            table.reader.fail(f"the {what} of {table.what} name tensor {t}, but there are {count} tensors", table.at)
    return found


def _operator(index: int, table: Table, codes: list[tuple[str, str]], tensors: int) -> RawOperator:
    """Operator `index` of the subgraph."""
    place = table.integer(0, "u32", "opcode index")
    if place >= len(codes):
        table.reader.fail(f"{table.what} names operator code {place} of {len(codes)}", table.at)
    code, custom = codes[place]
    table.what = f"{code} (operator {index})"
    inputs = _indices(table, 1, "inputs", tensors, ABSENT)
    outputs = _indices(table, 2, "outputs", tensors, 0)
    return RawOperator(index, code, custom, _options(code, table), inputs, outputs)


def _options(code: str, table: Table) -> dict[str, Any]:
    """The options of an operator by schema field name, defaults filled in; {} when the operator has none. A custom operator's
    are bytes that only it understands."""
    if code == "CUSTOM":
        data = table.bytes(5, "custom options")
        table.reader.spend(len(data), table.at)
        return {"custom_options": bytes(data)}
    number = schema.OPTIONS_OF.get(code)
    if number is None:
        return {}
    kind = table.integer(3, "u8", "options type")
    if kind not in (0, number):
        table.reader.fail(f"{table.what} carries options of type {kind}, not {number}", table.at)
    found = table.table(4, "options") if kind else None
    options: dict[str, Any] = {}
    for field in schema.option_fields(number):
        if field.kind == "str":
            options[field.name] = found.string(field.slot, field.name) if found else ""
            continue
        if field.kind.endswith("[]"):
            options[field.name] = found.integers(field.slot, field.kind[:-2], field.name) if found else ()
            continue
        names = schema.ENUMS.get(field.kind)
        width = "i8" if names else field.kind
        value = found.number(field.slot, width, field.name, field.default) if found else field.default
        if names:
            if not 0 <= int(value) < len(names):
                table.reader.fail(f"{table.what} has {field.name} {int(value)}, which does not exist", table.at)
            options[field.name] = names[int(value)]
        elif field.kind == "f32":
            if not np.isfinite(value):
                table.reader.fail(f"{table.what} has {field.name} {value}", table.at)
            options[field.name] = float(value)
        else:
            options[field.name] = bool(value) if field.kind == "bool" else int(value)
    return options


def _nodes(raw: RawModel) -> tuple[Node, ...]:
    """The operators, in their order, with typed attributes. Raises one ModelError naming all that mcuml lacks."""
    registry = ops.registry()
    missing = [place(op, raw) for op in raw.operators if op.key not in registry]
    if missing:
        lacking = {(op.code, op.custom) for op in raw.operators if op.key not in registry}
        advice = [f"{custom or code}: {rewrite}." for code, custom in sorted(lacking) if (rewrite := rewrite_of(code, custom))]
        if any(code == "CUSTOM" for code, _ in lacking):
            advice.append(f"A custom operator of yours: give its kernel in ${ops.FOLDER} (CONTRIBUTING.md, 'A custom operator').")
        served = sorted(name.removeprefix("CUSTOM:") for name in registry if name in OPENERS or not is_mark(name))
        shown = missing[:20] + ([f"and {len(missing) - 20} more"] if len(missing) > 20 else [])
        raise ModelError(
            f"'{raw.name}' uses {'an operator' if len(missing) == 1 else f'{len(missing)} operators'} that mcuml does not serve: "
            + "; ".join(shown)
            + ".",
            f"Served: {', '.join(served)}.",
            "\n".join([*advice, "Replace it in the model and convert again, or add it (CONTRIBUTING.md, 'An operator')."]),
        )
    return tuple(
        Node(op.key, _attributes(op, registry[op.key], raw), op.inputs, op.outputs, op.index, first=op.first)
        for op in raw.operators
    )


def _attributes(op: RawOperator, kind: type[ops.Operator], raw: RawModel) -> ops.Operator:
    """The operator's options with their types. Raises ModelError when a custom operator's are not the ones it needs."""
    try:
        return kind.parse(op.key, op.options)
    except (LookupError, TypeError, ValueError) as error:
        raise ModelError(
            f"'{raw.name}': {place(op, raw)}: its options are not those of this operator.", f"{type(error).__name__}: {error}"
        ) from None
