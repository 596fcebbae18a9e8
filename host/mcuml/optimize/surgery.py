"""Surgery on a tf_keras graph: layers replaced, put in chains or taken out, all others copied with their weights."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from mcuml.errors import ModelError, RequestError
from mcuml.optimize import frameworks


@dataclass(frozen=True, eq=False)
class Piece:
    """A new layer: `kind` names its class in tf_keras.layers, `config` is its config (the name is given by replace()),
    `weights` are its arrays in the order of get_weights(), or None to leave them as initialised."""

    kind: str
    config: Mapping[str, Any]
    weights: Sequence[np.ndarray] | None = None


def changed(layer: Any, weights: Sequence[np.ndarray], **config: Any) -> Piece:
    """`layer` with other weights and some other entries of its config."""
    return Piece(type(layer).__name__, {**layer.get_config(), **config}, weights)


def replace(model: Any, chains: Mapping[str, Sequence[Piece]]) -> Any:
    """A copy of `model`, a tf_keras model, in which each named layer is the chain of its pieces; an empty chain takes the
    layer out, its reader reads what it read. The last piece keeps the layer's name, so that settings of later steps find it;
    those before it are called NAME_0, NAME_1, ..., as far as these are free. Without chains: a copy that shares no weights with
    `model`. The copy is a functional model, also of a Sequential. Raises ModelError for a model that is no graph of layers."""
    keras = frameworks.keras()
    config = _graph(model).get_config()
    weights: dict[str, Sequence[np.ndarray]] = {layer.name: layer.get_weights() for layer in model.layers}
    layers: list[dict[str, Any]] = []
    taken = set(_names(config))
    for entry in config["layers"]:
        if entry["name"] in chains:
            layers += _chain(entry, chains[entry["name"]], weights, taken)
        else:
            # tfmot's layers would be built, with all their variables, by build_config and then once more
            layers.append({key: value for key, value in entry.items() if key != "build_config"})
    gone = {e["name"]: e["inbound_nodes"] for e in config["layers"] if e["name"] in chains and not chains[e["name"]]}
    for entry in layers:
        entry["inbound_nodes"] = _redirected(entry["inbound_nodes"], gone)
    with _scope(model):
        copy = keras.Model.from_config({**config, "layers": layers, "output_layers": _redirected(config["output_layers"], gone)})
    for layer in copy.layers:
        if weights.get(layer.name):
            layer.set_weights(weights[layer.name])
    return copy


def _chain(
    entry: Mapping[str, Any], pieces: Sequence[Piece], weights: dict[str, Sequence[np.ndarray]], taken: set[str]
) -> list[dict[str, Any]]:
    """The entries of a config for `pieces` in place of the layer of `entry`; their weights go into `weights` by name, and their
    names, none of them in `taken`, into that."""
    weights.pop(entry["name"], None)
    inbound, entries = entry["inbound_nodes"], []
    for number, piece in enumerate(pieces):
        name = entry["name"]
        if number < len(pieces) - 1:
            name = next(n for n in (f"{entry['name']}_{k}" for k in itertools.count()) if n not in taken)
            taken.add(name)
        config = {**piece.config, "name": name}
        entries.append({"class_name": piece.kind, "config": config, "name": name, "inbound_nodes": inbound})
        inbound = [[[name, call, 0, {}]] for call in range(len(inbound))]
        if piece.weights is not None:
            weights[name] = piece.weights
    return entries


def chosen(model: Any, names: str, step: str) -> list[Any]:
    """The layers of `model` that `names` asks for: "all", or names and patterns (conv_*) with spaces between. Raises
    RequestError, naming `step`, for one that fits no layer."""
    if names == "all":
        return list(model.layers)
    for word in names.split():
        if not any(fnmatchcase(layer.name, word) for layer in model.layers):
            present = ", ".join(layer.name for layer in model.layers if layer.weights)
            raise RequestError(f"{step}: the model has no layer '{word}'.", "", f"Layers with weights: {present}.")
    return [layer for layer in model.layers if any(fnmatchcase(layer.name, word) for word in names.split())]


def suited(model: Any, names: str, step: str, kind: str, unfit: Callable[[Any], str]) -> list[Any]:
    """The layers that `names` asks for (see chosen()) and that `unfit` gives no reason against, the end of a sentence
    "LAYER ...". With "all", others are left out. Raises ModelError, naming `step`, for a layer asked for by name that does not
    suit, and when none does; `kind` says of which layers that sentence lists the reasons."""
    layers = [layer for layer in chosen(model, names, step) if layer.weights]
    reasons = {layer.name: unfit(layer) for layer in layers}
    wrong = [f"{name} {reason}" for name, reason in reasons.items() if reason]
    if wrong and (names != "all" or len(wrong) == len(layers)):
        what = (
            "it cannot rewrite a layer that it was asked to" if names != "all" else f"the model has no {kind} that it can rewrite"
        )
        raise ModelError(f"{step}: {what}.", "; ".join(wrong) + ".", "Name other layers, or leave the step out.")
    return [layer for layer in layers if not reasons[layer.name]]


@dataclass(frozen=True)
class Wiring:
    """Who reads whom, by layer names. `reads[a]`: the layers whose outputs a takes, over all of its calls. `read_by[a]`: the
    layers that take a's output, once per take; an output of the model counts as read by ""."""

    reads: Mapping[str, tuple[str, ...]]
    read_by: Mapping[str, tuple[str, ...]]

    def only_reader(self, name: str) -> str | None:
        """The one layer that takes the output of `name`, and nothing else; None if there is no such layer."""
        readers = self.read_by[name]
        return readers[0] if len(readers) == 1 and readers[0] and self.reads[readers[0]] == (name,) else None


def wiring(model: Any) -> Wiring:
    """The wiring of `model`. Raises ModelError for a model that is no graph of layers."""
    config = _graph(model).get_config()
    reads = {e["name"]: tuple(ref[0] for ref in _references(e["inbound_nodes"], _names(config))) for e in config["layers"]}
    read_by: dict[str, list[str]] = {name: [] for name in reads}
    for reader, sources in reads.items():
        for source in sources:
            read_by[source].append(reader)
    for output in _references(config["output_layers"], _names(config)):
        read_by[output[0]].append("")
    return Wiring(reads, {name: tuple(readers) for name, readers in read_by.items()})


def _graph(model: Any) -> Any:
    """`model` as a functional model of the same layers: a Sequential's config says nothing of its wiring."""
    keras = frameworks.keras()
    if not getattr(model, "_is_graph_network", False):
        raise ModelError(
            f"{model.name}: the model is no graph of layers.",
            f"It is a {type(model).__name__}.",
            "Build it with the functional interface or as a Sequential with an input shape.",
        )
    return keras.Model(model.inputs, model.outputs, name=model.name) if isinstance(model, keras.Sequential) else model


def _names(config: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(entry["name"] for entry in config["layers"])


def _is_reference(value: Any, names: frozenset[str]) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) >= 3
        and isinstance(value[0], str)
        and value[0] in names
        and all(isinstance(number, int) for number in value[1:3])
    )


def _references(value: Any, names: frozenset[str]) -> list[Sequence[Any]]:
    """Every [layer, call, tensor, ...] in a nest of lists and dicts, in order."""
    if _is_reference(value, names):
        rest = [found for part in value[3:] for found in _references(part, names)]
        return [value, *rest]
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [found for part in parts for found in _references(part, names)]


def _redirected(value: Any, gone: Mapping[str, Any]) -> Any:
    """The nest of references with those to layers of `gone` (name -> its inbound nodes) led to what those layers read."""
    if _is_reference(value, frozenset(gone)):
        source = gone[value[0]][value[1]][0]
        return _redirected([*source[:3], *value[3:]], gone)
    if isinstance(value, Mapping):
        return {key: _redirected(part, gone) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_redirected(part, gone) for part in value]
    return value


def _scope(model: Any) -> Any:
    """In which the classes of all layers are known, wrapped ones too: a config names them and Keras alone does not know them."""
    classes = {type(part).__name__: type(part) for part in model.submodules}
    wrapped = any(kind.__module__.startswith("tensorflow_model_optimization") for kind in classes.values())
    quantize_scope = frameworks.tfmot().quantization.keras.quantize_scope if wrapped else None
    return (quantize_scope or frameworks.keras().utils.custom_object_scope)(classes)
