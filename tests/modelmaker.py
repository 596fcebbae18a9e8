"""Small .tflite models for tests, made from a few lines of Python.

    x = tensor("x", "int8", (1, 8, 8, 3), scale=0.1, zero_point=-3)
    w = const("w", rng.integers(-127, 128, (4, 3, 3, 3), dtype=np.int8), scale=[...4 scales], zero_point=0, axis=0)
    b = const("b", rng.integers(-500, 500, 4, dtype=np.int32), scale=[...], axis=0)
    y = tensor("y", "int8", (1, 8, 8, 4), scale=0.2, zero_point=5)
    data = model([op("CONV_2D", [x, w, b], [y], padding="SAME", stride_w=1, stride_h=1,
                     fused_activation_function="RELU", dilation_w_factor=1, dilation_h_factor=1)], inputs=[x], outputs=[y])
    path.write_bytes(data)

The bytes are good for TFLM's host interpreter, ai_edge_litert and mcuml.tflite. Tensors are told apart by identity: use one
object wherever the same tensor is meant; None is an optional input left out. Options are schema field names in snake_case, as
mcuml.tflite gives them, and enumerations are their names. Every option not given has the schema's default (strides are 0!).
`conv`, `depthwise`, `fully_connected` make one random quantized (or float) layer with plausible scales.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from mcuml.schema import ENUMS, OPERATORS, OPTIONS_OF, TENSOR_TYPES, option_fields


@dataclass(eq=False)
class TensorSpec:
    """One tensor of the model to be made. `scale` () means not quantized; `data` is a constant's values."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    axis: int = 0
    data: np.ndarray | None = None
    variable: bool = False
    signature: tuple[int, ...] | None = None


@dataclass(eq=False)
class OpSpec:
    """One operator of the model to be made; `custom` is a custom operator's name."""

    code: str
    inputs: list[TensorSpec | None]
    outputs: list[TensorSpec]
    options: dict[str, Any] = field(default_factory=dict)
    version: int = 1
    custom: str = ""
    custom_options: bytes = b""


def _many(value: Any, kind: type) -> tuple:
    return () if value is None else tuple(kind(v) for v in np.atleast_1d(value))


def tensor(name: str, dtype: str, shape: Sequence[int], scale: Any = None, zero_point: Any = None, axis: int = 0) -> TensorSpec:
    """An activation. `scale` and `zero_point` are numbers or sequences (per channel along `axis`)."""
    return TensorSpec(name, dtype, tuple(shape), _many(scale, float), _many(zero_point, int), axis)


def const(name: str, data: Any, scale: Any = None, zero_point: Any = None, axis: int = 0) -> TensorSpec:
    """A constant; dtype and shape are those of `data`."""
    data = np.asarray(data)
    return TensorSpec(name, data.dtype.name, data.shape, _many(scale, float), _many(zero_point, int), axis, data)


def custom(name: str, inputs: Sequence[TensorSpec | None], outputs: Sequence[TensorSpec], **options: Any) -> OpSpec:
    """The custom operator `name`, its options in a FlexBuffer, as TensorFlow's converter writes them."""
    data = bytes(flexbuffers.Dumps(options))
    return OpSpec("CUSTOM", list(inputs), list(outputs), custom=name, custom_options=data)


def op(code: str, inputs: Sequence[TensorSpec | None], outputs: Sequence[TensorSpec], version: int = 1, **options: Any) -> OpSpec:
    """One operator by TFLite's builtin name, with its options by schema field name."""
    return OpSpec(code, list(inputs), list(outputs), options, version)


Subgraph = tuple[Sequence[OpSpec], Sequence[TensorSpec], Sequence[TensorSpec]]  # operators, inputs, outputs


def model(
    ops: Sequence[OpSpec], inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], others: Sequence[Subgraph] = ()
) -> bytes:
    """The bytes of a .tflite file: one subgraph of `ops` in the given order, then `others`, which control flow names from 1."""
    made = schema.ModelT()
    made.version, made.description = 3, "mcuml test"
    made.buffers = [schema.BufferT()]
    codes: list[tuple[str, int, str]] = []
    made.subgraphs = [_subgraph(*parts, made.buffers, codes) for parts in ((ops, inputs, outputs), *others)]
    made.operatorCodes = [_code(*key) for key in codes]
    builder = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _subgraph(
    ops: Sequence[OpSpec], inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], buffers: list, codes: list
) -> Any:
    tensors: list[TensorSpec] = []
    for spec in [*inputs, *outputs, *(t for o in ops for t in (*o.inputs, *o.outputs))]:
        if spec is not None and not any(spec is known for known in tensors):
            tensors.append(spec)
    number = {id(t): i for i, t in enumerate(tensors)}
    graph = schema.SubGraphT()
    graph.name = "main"
    graph.tensors = [_tensor(t, buffers) for t in tensors]
    graph.inputs, graph.outputs = [number[id(t)] for t in inputs], [number[id(t)] for t in outputs]
    graph.operators = []
    for spec in ops:
        key = (spec.code, spec.version, spec.custom)
        if key not in codes:
            codes.append(key)
        built = schema.OperatorT()
        built.opcodeIndex = codes.index(key)
        built.inputs = [-1 if t is None else number[id(t)] for t in spec.inputs]
        built.outputs = [number[id(t)] for t in spec.outputs]
        _options(spec, built)
        if spec.custom_options:
            built.customOptions = np.frombuffer(spec.custom_options, np.uint8)
        graph.operators.append(built)
    return graph


def _code(name: str, version: int, custom: str) -> Any:
    made = schema.OperatorCodeT()
    made.builtinCode = OPERATORS.index(name)
    made.deprecatedBuiltinCode = min(made.builtinCode, 127)
    made.version = version
    made.customCode = custom or None
    return made


def _tensor(spec: TensorSpec, buffers: list) -> Any:
    made = schema.TensorT()
    made.name, made.shape = spec.name, list(spec.shape)
    made.type = TENSOR_TYPES.index(spec.dtype.upper())
    made.hasRank = True
    made.isVariable = spec.variable
    made.shapeSignature = None if spec.signature is None else list(spec.signature)
    if spec.data is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(_stored(spec), np.uint8)
        made.buffer = len(buffers)
        buffers.append(buffer)
    if spec.scale:
        quant = schema.QuantizationParametersT()
        quant.scale = np.array(spec.scale, np.float32)
        quant.zeroPoint = np.array(spec.zero_point or (0,) * len(spec.scale), np.int64)
        quant.quantizedDimension = spec.axis
        made.quantization = quant
    return made


def _stored(spec: TensorSpec) -> bytes:
    """A constant's bytes; "int4" takes int8 values and packs two into a byte, the first into its low half (unless they are
    packed already)."""
    assert spec.data is not None
    data = np.ascontiguousarray(spec.data)
    if spec.dtype != "int4" or data.size != np.prod(spec.shape):
        return data.tobytes()
    halves = np.append(data.reshape(-1), np.zeros(data.size % 2, np.int8)).astype(np.uint8) & 15
    return (halves[::2] | halves[1::2] << 4).astype(np.uint8).tobytes()


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _options(spec: OpSpec, built: Any) -> None:
    """Fill the operator's options table; an option that the operator does not have is a mistake in the test."""
    table = OPTIONS_OF.get(spec.code)
    known = {} if table is None else {f.name: f for f in option_fields(table)}
    unknown = set(spec.options) - set(known)
    assert not unknown, f"{spec.code} has no option {unknown}; it has {sorted(known)}"
    if table is None:
        return
    name = next(k for k, v in vars(schema.BuiltinOptions).items() if v == table)
    made = getattr(schema, name + "T")()
    for key, value in spec.options.items():
        kind = known[key].kind
        attribute = _camel(key)
        assert hasattr(made, attribute), f"{name} has no attribute {attribute}"
        setattr(made, attribute, ENUMS[kind].index(value) if kind in ENUMS else list(value) if kind.endswith("[]") else value)
    built.builtinOptionsType, built.builtinOptions = table, made


# One random layer each: (operator, its constants included), scales such that outputs use most of their range.


def _weights(rng: np.random.Generator, name: str, shape: tuple[int, ...], axis: int, dtype: str, per_channel: bool) -> TensorSpec:
    if dtype == "float32":
        return const(name, rng.normal(0, 1 / np.sqrt(max(1, np.prod(shape) / shape[axis])), shape).astype(np.float32))
    scale = rng.uniform(0.002, 0.02, shape[axis] if per_channel else 1).astype(np.float32)
    return const(name, rng.integers(-127, 128, shape, dtype=np.int8), scale=scale, zero_point=[0] * len(scale), axis=axis)


def _bias(rng: np.random.Generator, name: str, count: int, x: TensorSpec, w: TensorSpec) -> TensorSpec:
    if x.dtype == "float32":
        return const(name, rng.normal(0, 0.1, count).astype(np.float32))
    scale = np.float32(x.scale[0]) * np.array(w.scale, np.float32)
    kind = np.int64 if x.dtype == "int16" else np.int32
    return const(name, rng.integers(-3000, 3000, count).astype(kind), scale=scale, zero_point=[0] * len(scale))


def random_tensor(rng: np.random.Generator, name: str, dtype: str, shape: Sequence[int], low: float = 0.02) -> TensorSpec:
    """An activation with random plausible quantization (none for float32; zero point 0 for int16)."""
    if dtype == "float32":
        return tensor(name, dtype, shape)
    if dtype == "int16":
        return tensor(name, dtype, shape, float(np.float32(rng.uniform(low, 4 * low) / 256)), 0)
    zero = int(rng.integers(0, 256)) - (128 if dtype == "int8" else 0)
    return tensor(name, dtype, shape, float(np.float32(rng.uniform(low, 4 * low))), zero)


def _spatial(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    reach = (kernel - 1) * dilation + 1
    return -(-size // stride) if padding == "SAME" else (size - reach) // stride + 1


def conv(
    rng: np.random.Generator, x: TensorSpec, channels: int, kernel: tuple[int, int] = (3, 3), stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1), padding: str = "SAME", activation: str = "NONE", per_channel: bool = True,
    bias: bool = True, name: str = "conv", depthwise: bool = False, groups: int = 1,
) -> OpSpec:  # fmt: skip
    """A CONV_2D (or, with `depthwise`, a DEPTHWISE_CONV_2D with multiplier channels // input channels) on NHWC `x`.

    Pairs are (height, width). The output is `.outputs[0]`."""
    batch, height, width, depth = x.shape
    shape, axis = ((1, *kernel, channels), 3) if depthwise else ((channels, *kernel, depth // groups), 0)
    w = _weights(rng, f"{name}_w", shape, axis, x.dtype, per_channel)
    b = _bias(rng, f"{name}_b", channels, x, w) if bias else None
    sizes = [_spatial(s, k, t, d, padding) for s, k, t, d in zip((height, width), kernel, stride, dilation, strict=True)]
    y = random_tensor(rng, name, x.dtype, (batch, *sizes, channels))
    options = dict(
        padding=padding, stride_h=stride[0], stride_w=stride[1], dilation_h_factor=dilation[0], dilation_w_factor=dilation[1],
        fused_activation_function=activation,
    )  # fmt: skip
    if depthwise:
        options["depth_multiplier"] = channels // depth
    return op("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [x, w, b], [y], version=3, **options)


def fully_connected(
    rng: np.random.Generator, x: TensorSpec, units: int, activation: str = "NONE", per_channel: bool = False, bias: bool = True,
    name: str = "fc",
) -> OpSpec:  # fmt: skip
    """A FULLY_CONNECTED of `units` on the last dimension of `x`; the output is (rest, units)."""
    depth = x.shape[-1]
    w = _weights(rng, f"{name}_w", (units, depth), 0, x.dtype, per_channel)
    b = _bias(rng, f"{name}_b", units, x, w) if bias else None
    y = random_tensor(rng, name, x.dtype, (int(np.prod(x.shape)) // depth, units))
    return op("FULLY_CONNECTED", [x, w, b], [y], version=4, fused_activation_function=activation)


def sample(rng: np.random.Generator, spec: TensorSpec) -> np.ndarray:
    """A random value for an input tensor: the whole range of an integer type, normal for float32."""
    if spec.dtype == "float32":
        return rng.normal(0, 1, spec.shape).astype(np.float32)
    if spec.dtype == "bool":
        return rng.integers(0, 2, spec.shape).astype(bool)
    limits = np.iinfo(spec.dtype)
    return rng.integers(limits.min, limits.max, spec.shape, dtype=spec.dtype, endpoint=True)
