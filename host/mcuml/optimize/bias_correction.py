"""Bias correction: what rounding the weights shifts a layer's outputs by, on average, is taken off its biases."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcuml import schema
from mcuml.errors import ModelError
from mcuml.optimize import frameworks
from mcuml.optimize.calibration import activations
from mcuml.optimize.slim import pack, slim, unpack

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def corrected(file: bytes, exact: bytes, samples: np.ndarray) -> bytes:
    """`file`, a quantized .tflite, with corrected biases; `exact` is the float32 file of the same model.

    With w the weights, w' what their int8 codes stand for, and x a layer's input in the float network, the layer's outputs
    are off by (w' - w) x. Its mean over `samples` (float32, (n, *input shape)) and positions is subtracted from the bias of
    each output channel: b' = b - E[(w' - w) x] (Nagel et al., Data-Free Quantization Through Weight Equalization and Bias
    Correction, 2019, section 4.2, with the expectation over data). A layer without a bias gets none: its error stays."""
    quantized, original = unpack(file), unpack(exact)
    pairs = [
        (layer, twin, code)
        for (layer, code), (twin, other) in zip(_layers(quantized), _layers(original), strict=True)
        if code == other and len(layer.inputs) > 2 and layer.inputs[2] >= 0
    ]
    errors = [_weight_error(quantized, layer.inputs[1], original, twin.inputs[1]) for layer, twin, _ in pairs]
    shifts = [np.zeros(()) for _ in pairs]
    for values in activations(exact, samples):
        for n, (_, twin, code) in enumerate(pairs):
            shifts[n] = shifts[n] + _mean_output(code, twin.builtinOptions, values[int(twin.inputs[0])], errors[n])
    for (layer, _, _), shift in zip(pairs, shifts, strict=True):
        _subtract(quantized, int(layer.inputs[2]), shift / len(samples))
    return slim(pack(quantized))


def _layers(model: Any) -> list[tuple[Any, str]]:
    """The operators with weights, in the file's order, with their codes."""
    found = []
    for op in model.subgraphs[0].operators:
        entry = model.operatorCodes[op.opcodeIndex]
        code = schema.OPERATORS[max(entry.builtinCode, entry.deprecatedBuiltinCode)]
        if code in WEIGHTED:
            found.append((op, code))
    return found


def _weight_error(quantized: Any, number: int, original: Any, twin: int) -> np.ndarray:
    """w' - w. Raises ModelError when w' is not w rounded, so that the two are not of the same layer."""
    codes, weights = _weights(quantized, number), _weights(original, twin)
    if codes.shape != weights.shape or np.abs(codes - weights).max() > 0.01 * np.abs(weights).max():
        raise ModelError(
            f"ptq: bias correction cannot find the layer of the weights {list(codes.shape)} in the float model.",
            "",
            "Leave out bias_correction, and please report this with the model.",
        )
    return codes - weights


def _weights(model: Any, number: int) -> np.ndarray:
    """The real values of a constant, float32, in its shape."""
    tensor = model.subgraphs[0].tensors[number]
    kind = np.dtype(schema.NUMPY_TYPES[schema.TENSOR_TYPES[tensor.type]])
    codes = np.frombuffer(np.asarray(model.buffers[tensor.buffer].data, np.uint8).tobytes(), kind).reshape(tensor.shape)
    if tensor.quantization is None or tensor.quantization.scale is None:
        return codes.astype(np.float32)
    shape = [1] * codes.ndim
    shape[tensor.quantization.quantizedDimension] = -1
    return codes.astype(np.float32) * np.asarray(tensor.quantization.scale, np.float32).reshape(shape)


def _mean_output(code: str, options: Any, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The outputs of one layer without bias and activation, averaged over all but the channels: float64 (channels,)."""
    tf = frameworks.tensorflow()
    if code == "FULLY_CONNECTED":
        return (x.reshape(-1, weights.shape[1]).astype(float) @ weights.T).mean(0)
    padding = schema.ENUMS["padding"][options.padding]
    stride, dilation = (options.strideH, options.strideW), (options.dilationHFactor, options.dilationWFactor)
    if code == "CONV_2D":
        y = tf.nn.conv2d(x, weights.transpose(1, 2, 3, 0), stride, padding, dilations=dilation)
    else:
        kernel = weights[0].reshape(*weights.shape[1:3], x.shape[3], -1)
        y = tf.nn.depthwise_conv2d(x, kernel, (1, *stride, 1), padding, dilations=dilation)
    return y.numpy().astype(float).mean((0, 1, 2))


def _subtract(model: Any, number: int, shift: np.ndarray) -> None:
    """Take `shift`, real values per channel, off the bias in tensor `number`, in a buffer of its own."""
    tensor = model.subgraphs[0].tensors[number]
    buffer = model.buffers[tensor.buffer]
    kind = np.dtype(schema.NUMPY_TYPES[schema.TENSOR_TYPES[tensor.type]])
    bias = np.frombuffer(np.asarray(buffer.data, np.uint8).tobytes(), kind)
    if kind.kind == "f":
        changed = bias - shift
    else:
        limits = np.iinfo(kind)
        changed = np.clip(np.rint(bias - shift / np.asarray(tensor.quantization.scale, float)), limits.min, limits.max)
    new = type(buffer)()
    new.data = np.frombuffer(changed.astype(kind).tobytes(), np.uint8)
    tensor.buffer = len(model.buffers)
    model.buffers.append(new)
