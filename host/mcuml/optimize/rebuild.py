"""The description in a model file -> a tf_keras model: one functional graph, models inside it laid open, weights put in."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from mcuml.errors import ModelError
from mcuml.optimize import frameworks, layers
from mcuml.optimize.layers import Impossible, Stored

MOST_LAYERS, DEEPEST = 2000, 8
MOST_VALUES = 1 << 24  # of one tensor inside the model: no microcontroller holds a hundredth of it
SIZES = ("units", "filters", "kernel_size", "depth_multiplier")  # settings that are lengths of the weights

Chain = tuple[Stored, ...]  # a layer, after the models that it lies in
Weights = Callable[[Chain], list[np.ndarray]]  # a layer's arrays in the order of get_weights()


class _Reference(NamedTuple):
    """Output `tensor` of call number `node` of a layer."""

    layer: str
    node: int
    tensor: int


@dataclass(frozen=True)
class _Call:
    arguments: list[Any]
    options: dict[str, Any]

    def references(self) -> list[_Reference]:
        return _found([self.arguments, list(self.options.values())])


def description(content: Any, where: str) -> Stored:
    """The model that a file's JSON describes, all its layers checked. Raises ModelError that lists the impossible ones."""
    try:
        content = _without_tuples(content)
        model = Stored.model_validate(content)
        if model.class_name == "Sequential" and isinstance(content.get("config"), list):
            model = Stored(class_name="Sequential", config={"layers": content["config"]})
        if not model.is_model:
            raise ModelError(
                f"{where} holds a model of the class {model.class_name}, which is neither Sequential nor functional.",
                "Only its Python code knows how its layers are joined.",
                "Build it with keras.Model(inputs, outputs) or keras.Sequential, copy the weights, and save that.",
            )
        reasons = _impossible(model, 0)
    except (ValidationError, AttributeError, TypeError, ValueError, RecursionError) as error:
        raise malformed(where, error) from error
    if reasons:
        plural = f"{len(reasons)} layers that" if len(reasons) > 1 else "a layer that"
        raise ModelError(
            f"{where} has {plural} cannot be rebuilt.", "\n".join(reasons), "Change the model as said there, and save it again."
        )
    return model


def build(model: Stored, weights: Weights, where: str) -> Any:
    """A tf_keras functional model of the same outputs. Raises ModelError naming the layer."""
    keras = frameworks.keras()
    shape = input_shape(model, where)
    source = keras.Input(shape, name=_allowed(_input_name(model)))
    builder = _Builder(weights, where, {source.name: 1, source.node.layer.name: 1})
    try:
        output = builder.run((model,), source, None)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise malformed(where, error) from error
    return keras.Model(source, output, name=_allowed(model.label))


def layers_of(model: Stored) -> list[Stored]:
    return [Stored.model_validate(layer) for layer in model.config["layers"]]


def malformed(where: str, error: object) -> ModelError:
    return ModelError(
        f"{where} does not describe a Keras model.", _short(error), "The file may be damaged: save the model again."
    )


def input_shape(model: Stored, where: str) -> tuple[int, ...]:
    """Without the batch. Raises ModelError where the model says none, or a length is open."""
    shape = _said_shape(model)
    if shape is None:
        raise ModelError(
            f"{where} does not say its input's shape.", "", "Begin the model with keras.Input(shape=...), and save it again."
        )
    if not shape[1:] or not all(isinstance(d, int) and 0 < d <= MOST_VALUES for d in shape[1:]):
        raise ModelError(
            f"{where}: the input's shape is {shape}.",
            "Besides the first, the batch, every length must be a number: a microcontroller's memory is planned ahead.",
            "Rebuild the model with keras.Input(shape=...) of fixed lengths, copy the weights, and save it.",
        )
    return tuple(shape[1:])


def _said_shape(model: Stored) -> list[Any] | None:
    first = next((layer for layer in layers_of(model) if layer.class_name == "InputLayer"), layers_of(model)[0])
    shape = first.config.get("batch_shape") or first.config.get("batch_input_shape") or model.config.get("build_input_shape")
    if shape is None and first.is_model:
        return _said_shape(first)
    return list(shape) if isinstance(shape, list | tuple) else None


def _input_name(model: Stored) -> str:
    return next((layer.label for layer in layers_of(model) if layer.class_name == "InputLayer"), "input")


def _impossible(model: Stored, depth: int) -> list[str]:
    """One line for each layer that cannot be rebuilt."""
    inside, reasons = layers_of(model), []
    if depth > DEEPEST or not 0 < len(inside) <= MOST_LAYERS:
        raise ValueError(f"{model.label} has {len(inside)} layers, {depth} models deep")
    for layer in inside:
        if layer.is_model:
            reasons += _impossible(layer, depth + 1)
            continue
        try:
            layers.check(layer)
        except Impossible as reason:
            reasons.append(f"  {layer.label} ({layer.class_name}): {reason}.")
    return reasons


@dataclass
class _Builder:
    """Makes each layer once, when it is called first."""

    weights: Weights
    where: str
    taken: dict[str, int]

    def __post_init__(self) -> None:
        self.made: dict[tuple[str, ...], Any] = {}

    def run(self, chain: Chain, source: Any, training: bool | None) -> Any:
        model = chain[-1]
        if model.class_name == "Sequential":
            for layer in layers_of(model):
                source = self.apply((*chain, layer), [source], {"training": training})
            return source
        return self._graph(chain, source, training)

    def _graph(self, chain: Chain, source: Any, training: bool | None) -> Any:
        model, inside = chain[-1], {layer.label: layer for layer in layers_of(chain[-1])}
        inputs, outputs = (_found(_converted(model.config.get(key))) for key in ("input_layers", "output_layers"))
        for what, ends in (("inputs", inputs), ("outputs", outputs)):
            if len(ends) != 1:
                raise ModelError(
                    f"{self.where}: {model.label} has {len(ends)} {what}: {', '.join(e.layer for e in ends) or 'none'}.",
                    "mcuml optimize takes classifiers with one input and one output.",
                    f"Save a model with one of the {what} only: keras.Model(inputs, outputs).",
                )
        calls = [(layer, k, _call(node, self.where)) for layer in inside.values() for k, node in enumerate(layer.inbound_nodes)]
        known = {(inputs[0].layer, 0): source}

        def key(reference: _Reference) -> tuple[str, int]:
            nodes = inside[reference.layer].inbound_nodes
            # Keras 2 counts a model's own first call, which is none of this graph's.
            skipped = int(inside[reference.layer].is_model and isinstance(next(iter(nodes), None), list))
            return reference.layer, 0 if len(nodes) <= 1 else reference.node - skipped

        while calls:
            left = []
            for layer, number, call in calls:
                if all(r.tensor == 0 and key(r) in known for r in call.references()):
                    filled = [_filled(v, lambda r: known[key(r)]) for v in (call.arguments, list(call.options.values()))]
                    options = {k: v for k, v in zip(call.options, filled[1], strict=True) if v is not None}
                    known[layer.label, number] = self.apply((*chain, layer), filled[0], {"training": training} | options)
                else:
                    left.append((layer, number, call))
            if len(left) == len(calls):
                break  # what remains needs tensors that are not there
            calls = left
        if key(outputs[0]) not in known:
            raise malformed(self.where, f"nothing leads from its input to its output '{outputs[0].layer}'")
        return known[key(outputs[0])]

    def apply(self, chain: Chain, arguments: list[Any], options: dict[str, Any]) -> Any:
        """The layer's output. Raises ModelError naming it."""
        stored = chain[-1]
        name = f"{self.where}: the layer '{stored.label}' ({stored.class_name})"
        try:
            if stored.class_name == "InputLayer":
                return arguments[0]
            if stored.is_model:
                if len(arguments) != 1 or set(options) - {"training"}:
                    raise Impossible("it is called with more than its input")
                return self.run(chain, arguments[0], options.get("training"))
            if stored.operation is not None:
                output = self._operation(chain, arguments, options)
            else:
                output = self._layer(chain, arguments, options)
        except (Impossible, TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
            raise ModelError(
                f"{name} cannot be rebuilt.", _short(error), "Check that the original runs, and save it again."
            ) from error
        if output.shape[0] is not None or not all(output.shape[1:]) or np.prod(output.shape[1:], dtype=float) > MOST_VALUES:
            raise ModelError(
                f"{name} has an output of shape {output.shape}.", "", "Every length besides the batch must be fixed."
            )
        return output

    def _layer(self, chain: Chain, arguments: list[Any], options: dict[str, Any]) -> Any:
        stored, key = chain[-1], tuple(c.label for c in chain)
        training = {"training": options.pop("training", None)}
        if options:
            raise Impossible(f"it is called with {', '.join(options)}, which mcuml does not know")
        if key not in self.made:
            arrays = self.weights(chain)
            _check_lengths(stored, arguments[0], arrays)
            layer = self.made[key] = layers.make(stored, self._name(chain))
            output = _call_layer(layer, arguments, training)
            _put(layer, arrays)
            return output
        return _call_layer(self.made[key], arguments, training)

    def _operation(self, chain: Chain, arguments: list[Any], options: dict[str, Any]) -> Any:
        keras, operation, name = frameworks.keras(), chain[-1].operation, self._name(chain)
        values = [*arguments, *(v for k, v in options.items() if k in ("x", "y", "x1", "x2"))]
        if operation in layers.UNARY:
            return keras.layers.Activation(operation, name=name)(values[0])
        one, other = values
        numbers = [v for v in values if isinstance(v, bool | int | float)]
        if not numbers:
            if operation not in layers.BINARY or one.shape[1:] != other.shape[1:]:
                raise Impossible(f"'{operation}' of tensors of shapes {one.shape} and {other.shape} has no layer in Keras")
            return getattr(keras.layers, layers.BINARY[str(operation)])(name=name)(values)
        if operation in ("add", "multiply") and one is numbers[0]:
            one, other = other, one
        if other is not numbers[0] or operation not in layers.BY_NUMBER:
            raise Impossible(f"'{operation}' with {other!r} has no layer in Keras; use Rescaling")
        scale, offset = layers.BY_NUMBER[operation](other)
        return keras.layers.Rescaling(scale, offset, name=name)(one)

    def _name(self, chain: Chain) -> str:
        """The layer's own name, unless another has it."""
        name = _allowed(chain[-1].label)
        if name in self.taken:
            name = _allowed("_".join(c.label for c in chain[1:]))
        self.taken[name] = self.taken.get(name, 0) + 1
        return name if self.taken[name] == 1 else f"{name}_{self.taken[name]}"


def _call_layer(layer: Any, arguments: list[Any], training: dict[str, Any]) -> Any:
    takes = training["training"] is not None and "training" in inspect.signature(layer.call).parameters
    return layer(*arguments, **(training if takes else {}))


def _check_lengths(stored: Stored, source: Any, arrays: list[np.ndarray]) -> None:
    """Before tf_keras allocates the weights: a file may ask for any number of units."""
    settings = {key: stored.config[key] for key in SIZES if stored.config.get(key) is not None}
    there = {length for array in arrays for length in array.shape}
    if settings and source.shape[-1] // int(stored.config.get("groups") or 1) not in there:
        settings["input channels"] = source.shape[-1]
    for key, value in settings.items():
        if not set(value if isinstance(value, list | tuple) else [value]) <= there:
            raise Impossible(f"its {key} {value} do not fit its weights in the file, of shapes {[a.shape for a in arrays]}")


def _put(layer: Any, arrays: list[np.ndarray]) -> None:
    there, needed = [a.shape for a in arrays], [tuple(w.shape) for w in layer.weights]
    if there != needed:
        raise Impossible(f"its weights in the file have the shapes {there}, and tf_keras's {needed}")
    if not all(np.isfinite(a).all() for a in arrays):
        raise Impossible("its weights hold a NaN or an infinity: the training failed")
    layer.set_weights(arrays)


def _call(node: Any, where: str) -> _Call:
    """From {args, kwargs} (Keras 3), [name, node, tensor, kwargs] or a list of those (Keras 2)."""
    if isinstance(node, dict):
        return _Call(_converted(node.get("args", [])), _converted(node.get("kwargs", {})))
    if not isinstance(node, list) or not node:
        raise malformed(where, f"a layer's call is {node!r}")
    entries = [node] if isinstance(node[0], str) else node
    sources = [_converted(entry[:3]) for entry in entries]
    return _Call(sources if len(sources) == 1 else [sources], _converted(entries[0][3]) if len(entries[0]) > 3 else {})


def _converted(value: Any) -> Any:
    """With a _Reference for each tensor, in Keras 2's or Keras 3's writing."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return _Reference(*value["config"]["keras_history"])
        return {key: _converted(v) for key, v in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) >= 3 and value[0] == "_CONSTANT_VALUE":
        return value[2]
    if len(value) == 3 and [type(v) for v in value] == [str, int, int]:
        return _Reference(*value)
    return [_converted(v) for v in value]


def _found(value: Any) -> list[_Reference]:
    if isinstance(value, _Reference):
        return [value]
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [reference for v in inside for reference in _found(v)]


def _filled(value: Any, tensor: Callable[[_Reference], Any]) -> Any:
    if isinstance(value, _Reference):
        return tensor(value)
    return [_filled(v, tensor) for v in value] if isinstance(value, list) else value


def _without_tuples(value: Any) -> Any:
    """A SavedModel writes a tuple as {"class_name": "__tuple__", "items": [...]}: here it is a list."""
    if isinstance(value, dict):
        if value.get("class_name") == "__tuple__":
            value = value.get("items")
        else:
            return {key: _without_tuples(v) for key, v in value.items()}
    return [_without_tuples(v) for v in value] if isinstance(value, list) else value


def _allowed(name: str) -> str:
    """As TensorFlow allows it in its scopes."""
    return re.sub(r"^[^A-Za-z0-9.]", "x", re.sub(r"[^A-Za-z0-9_.\-]", "_", name)) or "x"


def _short(error: object) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:300]} ..."
