"""Short names for the tensors of an exported model, those of their layers, that do not depend on what was built before."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any


def renamer(model: Any) -> Callable[[str], str]:
    """A function from the converter's name of a tensor ("model/conv2d_7/Relu;model/conv2d_7/BiasAdd") to that of the layer
    whose result it is ("conv2d").

    Keras numbers the layers without a name of their own over the life of a process, so that the same model gets other names
    when it is built second: such numbers are counted anew from the model's first layer."""
    names: dict[str, str] = {}
    count: Counter[str] = Counter()
    last = ""
    for layer in _layers(model):
        inner = getattr(layer, "layer", layer)  # of a wrapper for quantization-aware training
        last = inner.name if layer.name == f"quant_{inner.name}" else layer.name
        stem = re.sub(r"_\d+$", "", last)
        if _named_by_keras(inner if last == inner.name else layer, stem):
            last = stem if not count[stem] else f"{stem}_{count[stem]}"
            count[stem] += 1
        names[layer.name] = last

    def rename(name: str) -> str:
        first = re.sub(r":\d+$", "", name.split(";")[0]).removeprefix("serving_default_")  # of the input
        if first.startswith("StatefulPartitionedCall"):  # the result of the whole model
            return last
        parts = [names[part] for part in first.split("/") if part in names]
        return parts[-1] if parts else re.sub(r"_\d+$", "", first.split("/")[-1])

    return rename


def _layers(model: Any) -> Iterator[Any]:
    """The layers in order, those of models inside of the model in place of these."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _layers(layer)
        else:
            yield layer


def _named_by_keras(layer: Any, stem: str) -> bool:
    """Whether `stem` is what Keras calls such a layer, before it adds a number."""
    given = stem.replace("_", "")
    return given == type(layer).__name__.lower() or stem == "input" or stem.startswith("tf.")
