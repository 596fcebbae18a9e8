"""TensorFlow's converter: a tf_keras model becomes a .tflite file in one of the formats, quietly, or a sentence says why not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcuml import schema, tflite
from mcuml.errors import ModelError
from mcuml.optimize import frameworks
from mcuml.optimize.layer_names import renamer
from mcuml.optimize.silence import silence
from mcuml.optimize.slim import slim, unpack

BYTES = {"float32": 4, "dynamic": 1, "float16": 2, "int8": 1, "int16x8": 1}  # of a weight
ENDS = {"QUANTIZE", "DEQUANTIZE"}  # what may touch a float tensor of an integer file with float inputs and outputs


@dataclass(frozen=True)
class Options:
    """`float_io`: an integer file takes and gives float32. `per_tensor`: one scale for all channels of a weight tensor.
    `learned`: the model holds ranges that quantization-aware training learned, and none are measured."""

    float_io: bool = False
    per_tensor: bool = False
    learned: bool = False


def check(model: Any, kind: str) -> None:
    """Raise ModelError unless `model` can be exported as `kind`: one input of known shape, finite weights, a size that some
    microcontroller could hold."""
    if len(model.inputs) != 1:
        names = ", ".join(f"'{tensor.name}'" for tensor in model.inputs)
        raise ModelError(f"ptq: the model has {len(model.inputs)} inputs.", names, "Optimization takes models with one input.")
    shape = model.inputs[0].shape[1:]
    if None in tuple(shape):
        raise ModelError(
            f"ptq: the model's input has the shape {list(shape)}, with dimensions that are not known.",
            "",
            "Build the model with a fixed shape: a microcontroller's memory is planned before it runs.",
        )
    size = BYTES[kind] * model.count_params()
    if size > tflite.MAX_FILE_BYTES:
        raise ModelError(
            f"ptq: the model is too large for any microcontroller: {size} bytes of weights as {kind}.",
            f"{model.count_params()} parameters; the limit is {tflite.MAX_FILE_BYTES} bytes.",
            "Take a smaller network.",
        )
    for layer in model.layers:
        for weight in layer.weights:
            wrong = np.count_nonzero(~np.isfinite(weight.numpy()))
            if wrong:
                raise ModelError(
                    f"ptq: {wrong} of the values of '{weight.name}' in layer '{layer.name}' are no numbers.",
                    "",
                    "Train with a lower learning rate, or look for NaN in the data.",
                )


def plain(model: Any, kind: str, options: Options) -> bytes:
    """The slim .tflite file of a format that needs no samples: float32, dynamic, float16, or int8 where the ranges are
    learned. Raises ModelError naming the layer that cannot be converted."""
    tf = frameworks.tensorflow()
    converter = _converter(model, options)
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind == "int8" and not options.float_io:
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return _finished(_run(converter, model, kind), model, kind, options)


def calibrated(model: Any, samples: np.ndarray, options: Options) -> bytes:
    """The float32 .tflite file in which every activation has its least and greatest value over `samples`, float32
    (n, *input shape): what quantized() takes."""
    converter = _integer(model, samples, options, "TFLITE_BUILTINS_INT8")
    converter._experimental_calibrate_only = True
    return _run(converter, model, "int8")


def quantized(file: bytes, model: Any, options: Options) -> bytes:
    """The slim int8 file of `calibrated` bytes."""
    tf = frameworks.tensorflow()
    kind = tf.float32 if options.float_io else tf.int8
    with silence():
        done = frameworks.lite("python.convert").mlir_quantize(
            file, disable_per_channel=options.per_tensor, input_data_type=kind, output_data_type=kind
        )
    return _finished(done, model, "int8", options)


def wide(model: Any, samples: np.ndarray, options: Options) -> bytes:
    """The slim int16x8 file: activations of 16 bits with the ranges over `samples`, weights of 8. TensorFlow's quantizer for
    this format measures the ranges itself."""
    tf = frameworks.tensorflow()
    converter = _integer(model, samples, options, "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8")
    if not options.float_io:
        converter.inference_input_type = converter.inference_output_type = tf.int16
    done = _finished(_run(converter, model, "int16x8"), model, "int16x8", options)
    empty = unscaled(done)
    if empty:
        raise ModelError(
            f"ptq: TensorFlow's int16x8 has no scale for channels whose weights are all 0: {_list(empty)}.",
            "",
            "End with int8, prune less or with scope=layer, or take such channels out with the step channels.",
        )
    return done


def _converter(model: Any, options: Options) -> Any:
    """Batch 1 is fixed here: else the converter adds operators that ask for the batch and make shapes of it. It gets a module
    that holds no more than the variables: of a Keras model it would save every layer's functions first, which takes seconds."""
    tf = frameworks.tensorflow()
    signature = tf.TensorSpec((1, *model.inputs[0].shape[1:]), tf.float32, model.input_names[0])
    function = tf.function(lambda x: model(x, training=False)).get_concrete_function(signature)
    module = tf.Module()
    module.held = model.variables
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converter.exclude_conversion_metadata = True
    converter._experimental_disable_per_channel = options.per_tensor
    return converter


def _integer(model: Any, samples: np.ndarray, options: Options, operators: str) -> Any:
    tf = frameworks.tensorflow()
    converter = _converter(model, options)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample[None]] for sample in samples)
    converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, operators)]
    return converter


def _run(converter: Any, model: Any, kind: str) -> bytes:
    try:
        with silence():
            return bytes(converter.convert())
    except Exception as error:  # the converter raises what its parts raise: ConverterError, ValueError, RuntimeError
        raise _refused(error, model, kind) from error


def _refused(error: Exception, model: Any, kind: str) -> ModelError:
    """The converter's many lines as one sentence that names operators and layers."""
    operators, layers = [], []
    for entry in getattr(error, "errors", ()):
        operators += [entry.operator.name.removeprefix("tf.")] if entry.operator.name else []
        named = {layer.name for layer in model.layers}
        layers += [part for call in entry.location.call for part in re.split(r"[/@:]", call.name) if part in named]
    where = f" in layer {_list(layers)}" if layers else ""
    if operators:
        return ModelError(
            f"ptq: TensorFlow Lite has no operator for {_list(operators)}{where}.",
            "",
            "Replace the layer with one that is made of convolutions, dense layers, pooling or simple arithmetic.",
        )
    lines = [line for line in str(error).splitlines() if line.strip()]
    return ModelError(f"ptq: TensorFlow's converter cannot make {kind} of the model{where}.", "\n".join(lines[:3]), "")


def _list(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in dict.fromkeys(names))


def _finished(data: bytes, model: Any, kind: str, options: Options) -> bytes:
    """The slim file. Raises ModelError when an integer format has kept operators that compute with floats."""
    rename = renamer(model)
    done = slim(data, rename, rename(model.input_names[0]))
    if kind in ("int8", "int16x8"):
        left = floats(done, ENDS if options.float_io else set())
        if left:
            raise ModelError(
                f"ptq: {len(left)} operators of the model have no {kind} version: {'; '.join(left[:5])}.",
                "",
                "Replace these layers, or end the recipe with dynamic or float16, which compute with floats.",
            )
    return done


def unscaled(data: bytes) -> list[str]:
    """The outputs of operators of which a constant has a scale of 0."""
    graph = unpack(data).subgraphs[0]

    def empty(number: int) -> bool:
        quantization = graph.tensors[number].quantization if number >= 0 else None
        return quantization is not None and quantization.scale is not None and bool((np.asarray(quantization.scale) <= 0).any())

    return [graph.tensors[op.outputs[0]].name.decode() for op in graph.operators if any(map(empty, op.inputs))]


def floats(data: bytes, allowed: set[str]) -> list[str]:
    """Each operator that reads or writes a float tensor, as "COS (output 'cosy')", without those of the codes `allowed`."""
    model = unpack(data)
    kinds = {schema.TENSOR_TYPES.index(name) for name in ("FLOAT32", "FLOAT16", "FLOAT64", "BFLOAT16")}
    found = []
    for graph in model.subgraphs:
        for op in graph.operators:
            code = model.operatorCodes[op.opcodeIndex]
            name = schema.OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]
            touched = [t for t in (*op.inputs, *op.outputs) if t >= 0]
            if name not in allowed and any(graph.tensors[t].type in kinds for t in touched):
                label = graph.tensors[op.outputs[0]].name
                found.append(f"{name} (output '{label.decode() if isinstance(label, bytes) else label or ''}')")
    # The converter puts DEQUANTIZE and QUANTIZE around what it leaves: the operators between them are the ones to name.
    return [entry for entry in found if entry.split()[0] not in ENDS] or found
