"""A .tflite file without what no interpreter needs, its tensors in the order of use and named after their layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mcuml.optimize import frameworks


def unpack(data: bytes) -> Any:
    """The file as TensorFlow's ModelT, every table an object that can be changed."""
    return frameworks.lite("tools.flatbuffer_utils").convert_bytearray_to_object(bytearray(data))


def pack(model: Any) -> bytes:
    """The .tflite file of a ModelT."""
    return bytes(frameworks.lite("tools.flatbuffer_utils").convert_object_to_bytearray(model))


def slim(data: bytes, rename: Callable[[str], str] = lambda name: name, input_name: str | None = None) -> bytes:
    """The file that computes the same without signatures, metadata, descriptions, names of constants, calibrated minima and
    maxima, unused tensors and repeated buffers. `rename` gives results their names, and inputs unless `input_name` is the
    only input's; constants have none.

    The converter numbers constants as they lie in its memory: here they follow the operators, so that equal models are
    equal files."""
    model = unpack(data)
    model.signatureDefs = model.metadata = model.metadataBuffer = model.description = None
    if input_name:
        first = model.subgraphs[0]
        first.tensors[first.inputs[0]].name = input_name.encode()
    buffers: dict[bytes, int] = {b"": 0}
    for graph in model.subgraphs:
        graph.name = None
        _in_order_of_use(graph)
        computed = {*graph.inputs, *(t for op in graph.operators for t in op.outputs)}
        for number, tensor in enumerate(graph.tensors):
            tensor.name = rename(tensor.name.decode()) if number in computed and tensor.name else None
            _slim_quantization(tensor)
            held = model.buffers[tensor.buffer].data
            content = b"" if held is None else np.asarray(held, np.uint8).tobytes()
            tensor.buffer = buffers.setdefault(content, len(buffers))
    kind = type(model.buffers[0])
    model.buffers = [kind() for _ in buffers]
    for content, number in buffers.items():
        if content:
            model.buffers[number].data = np.frombuffer(content, np.uint8)
    return pack(model)


def _in_order_of_use(graph: Any) -> None:
    """Renumber the tensors: inputs, then each operator's operands and results; those that none uses are dropped."""
    new: dict[int, int] = {}
    for tensor in (*graph.inputs, *_used(graph), *graph.outputs):
        if tensor >= 0:
            new.setdefault(int(tensor), len(new))
    graph.tensors = [graph.tensors[old] for old in new]
    new[-1] = -1
    graph.inputs, graph.outputs = [new[t] for t in graph.inputs], [new[t] for t in graph.outputs]
    for op in graph.operators:
        op.inputs, op.outputs = [new[t] for t in op.inputs], [new[t] for t in op.outputs]
        if op.intermediates is not None:
            op.intermediates = [new[t] for t in op.intermediates]


def _used(graph: Any) -> Iterator[int]:
    for op in graph.operators:
        yield from op.inputs
        yield from op.outputs
        yield from op.intermediates if op.intermediates is not None else ()


def _slim_quantization(tensor: Any) -> None:
    if tensor.quantization is None:
        return
    tensor.quantization.min = tensor.quantization.max = None
    if tensor.quantization.scale is None or not len(tensor.quantization.scale):
        tensor.quantization = None
