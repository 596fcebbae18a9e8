"""One tensor of a .tflite file: type, shape, quantization and constant values, each checked."""

from __future__ import annotations

from math import prod

import numpy as np

from mcuml import schema
from mcuml.errors import ModelError
from mcuml.flatbuf import Table
from mcuml.graph import Quantization, Tensor

MAX_TENSOR_BYTES = 1 << 31
MAX_RANK = 8


def tensor(index: int, table: Table, buffers: list[Table]) -> Tensor:
    """Tensor `index` with its shape, quantization and, for a constant, its values."""
    fail = table.reader.fail
    name = table.string(3, "name") or f"tensor_{index}"
    table.what = f"tensor {index} '{name}'"
    code = table.integer(1, "i8", "type")
    kind = schema.TENSOR_TYPES[code] if 0 <= code < len(schema.TENSOR_TYPES) else f"number {code}"
    shape = table.integers(0, "i32", "shape")
    if any(d < 1 for d in shape) or len(shape) > MAX_RANK:
        fail(
            f"{table.what} has shape {list(shape[:MAX_RANK])}; every dimension must be at least 1, and at most {MAX_RANK}",
            table.at,
        )
    if prod(shape) * 8 > MAX_TENSOR_BYTES:
        fail(f"{table.what} has shape {list(shape)}, larger than any memory", table.at)
    _static(table, shape)
    if table.has(6, "sparsity"):
        raise ModelError(
            f"'{table.reader.name}': {table.what} is stored as a sparse matrix, which mcuml does not serve.",
            "",
            "Convert the model without sparse storage.",
        )
    data = _buffer(table, buffers)
    values: np.ndarray | None
    if kind == "INT4" and data is not None:
        values, dtype = _unpack_int4(table, data, shape), "int8"
    elif kind in schema.NUMPY_TYPES:
        dtype = schema.NUMPY_TYPES[kind]
        values = None if data is None else _values(table, data, dtype, shape)
    else:
        raise ModelError(
            f"'{table.reader.name}': {table.what} has type {kind.lower()}, which mcuml does not serve.",
            "",
            "Quantize the model to int8, or keep it in float32.",
        )
    variable = bool(table.integer(5, "u8", "is_variable"))
    if variable and values is not None:
        fail(f"{table.what} is a variable with constant values", table.at)
    return Tensor(name, dtype, shape, _quantization(table, dtype, shape), values, variable)


def _static(table: Table, shape: tuple[int, ...]) -> None:
    """Refuse a dimension that is only known at run time, unless the file fixes it at 1 (the batch)."""
    signature = table.integers(7, "i32", "shape signature")
    if len(signature) == len(shape) and any(s == -1 and d != 1 for s, d in zip(signature, shape, strict=True)):
        raise ModelError(
            f"'{table.reader.name}': {table.what} has dimensions that change at run time.",
            f"Its shape is {list(signature)}.",
            "Fix every dimension before converting (a microcontroller's memory is planned ahead).",
        )


def _buffer(table: Table, buffers: list[Table]) -> memoryview | None:
    """The bytes of the tensor's buffer; None for an activation (buffer 0, or an empty one)."""
    reader, number = table.reader, table.integer(2, "u32", "buffer")
    if number == 0:
        return None
    if number >= len(buffers):
        reader.fail(f"{table.what} names buffer {number} of {len(buffers)}", table.at)
    buffer = buffers[number]
    data = buffer.bytes(0, "data")
    outside, size = buffer.integer(1, "u64", "offset"), buffer.integer(2, "u64", "size")
    if outside > 1:  # 0 and 1 mean that the data is inside the FlatBuffer
        reader.check(outside, size, f"buffer {number}")
        data = memoryview(reader.data)[outside : outside + size]
    return data if len(data) else None


def _values(table: Table, data: memoryview, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """A constant's values as a read-only view of the file."""
    expected = prod(shape) * np.dtype(dtype).itemsize
    if len(data) != expected:
        table.reader.fail(f"{table.what} is {dtype}{list(shape)}, {expected} bytes, but its buffer holds {len(data)}", table.at)
    if dtype == "bool":
        table.reader.spend(len(data), table.at)
        return np.frombuffer(data, np.uint8).astype(np.bool_).reshape(shape)
    return np.frombuffer(data, np.dtype(dtype)).reshape(shape)


def _unpack_int4(table: Table, data: memoryview, shape: tuple[int, ...]) -> np.ndarray:
    """int4 constants, two in a byte with the low half first, as int8 values -8..7."""
    count = prod(shape)
    if len(data) != (count + 1) // 2:
        table.reader.fail(
            f"{table.what} is int4{list(shape)}, {(count + 1) // 2} bytes, but its buffer holds {len(data)}", table.at
        )
    table.reader.spend(len(data), table.at)
    packed = np.frombuffer(data, np.int8)
    return np.stack([packed << 4 >> 4, packed >> 4], axis=-1).reshape(-1)[:count].reshape(shape)


def _quantization(table: Table, dtype: str, shape: tuple[int, ...]) -> Quantization | None:
    """The affine quantization of an integer tensor, None when it has none (or is not of an integer type)."""
    found = table.table(4, "quantization")
    if found is None or np.dtype(dtype).kind not in "iu":
        return None
    fail, what = table.reader.fail, table.what
    if found.integer(4, "u8", "details type"):
        raise ModelError(
            f"'{table.reader.name}': {what} has blockwise or custom quantization, which mcuml does not serve.",
            "",
            "Quantize the model per tensor or per channel.",
        )
    scale = found.vector(2, "f32", "scale").astype(np.float32)
    zero = found.vector(3, "i64", "zero point").astype(np.int64)
    axis = found.integer(6, "i32", "quantized dimension")
    table.reader.spend(scale.nbytes + zero.nbytes, table.at)
    if len(scale) == 0:
        return None
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        fail(f"{what} has a quantization scale that is not a positive number", found.at)
    if len(zero) in (0, 1):
        zero = np.full(len(scale), zero[0] if len(zero) else 0, np.int64)
    if len(zero) != len(scale):
        fail(f"{what} has {len(scale)} scales but {len(zero)} zero points", found.at)
    limits = np.iinfo(np.dtype(dtype))
    if zero.min() < limits.min or zero.max() > limits.max:
        fail(f"{what} has a zero point outside {dtype}", found.at)
    if len(scale) == 1:
        return Quantization(scale, zero)
    if len(shape) == 1:
        axis = 0  # older converters give a bias the dimension of its weights
    if not 0 <= axis < len(shape) or shape[axis] != len(scale):
        fail(f"{what} has {len(scale)} scales along dimension {axis} of {list(shape)}", found.at)
    return Quantization(scale, zero, axis)
