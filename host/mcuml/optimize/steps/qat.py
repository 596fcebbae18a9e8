"""Quantization-aware training: the network learns with its weights and activations rounded as int8 will round them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from mcuml.errors import ModelError
from mcuml.optimize import frameworks
from mcuml.optimize.steps import QUANTIZED, Context, Step
from mcuml.optimize.training import Learning

CALIBRATION = 256  # training samples, which data.load() has shuffled
DECAY = 0.999  # of tfmot's moving averages, which follow the outputs; kernels and the model's input have ranges of other kinds
RANGE = re.compile(r"/(output|pre_activation|post_activation)_(min|max):0$")


class Qat(Learning, Step):
    """Trains on all of the training data. Zeros of a pruned model stay zero and shared weights of a clustered one shared
    (training.kept), which is why the schemes of tfmot that do one of both are not needed. The ranges it learns go into the
    export: int8 takes no calibration then."""

    name = "qat"
    summary = "train on with int8's rounding in the network, so that int8 costs less accuracy"
    gives = frozenset({QUANTIZED})
    refuses: ClassVar[Mapping[str, str]] = {QUANTIZED: "the model is quantized already; finetune trains it on"}
    rank = 80

    learning_rate: float = Field(default=3e-4, gt=0, le=1)
    epochs: int = Field(default=3, ge=1, le=10_000)

    version: ClassVar[int] = 2

    def apply(self, model: Any, context: Context) -> Any:
        frameworks.seed_everything(context.seed)
        model = quantized(model, self.name)
        begin_ranges(model, context.data.train.x[:CALIBRATION])
        self.learn(model, context, self.name)
        return model


def quantized(model: Any, step: str) -> Any:
    """A copy of `model` with its layers wrapped in tfmot's 8-bit scheme, which takes batch normalization right after a linear
    convolution or dense layer together with it. Raises ModelError naming `step` and the layer that the scheme lacks."""
    lambdas = [layer.name for layer in model.layers if isinstance(layer, frameworks.keras().layers.Lambda)]
    if lambdas:
        raise _unfit(step, f"{', '.join(lambdas)} (Lambda)", "What a Lambda computes cannot be seen from outside.")
    try:
        return frameworks.tfmot().quantization.keras.quantize_model(model)
    except (ValueError, RuntimeError, AttributeError) as error:
        named = re.match(r"Layer (\S+):<class '\S*?(\w+)'>", str(error))
        if named:
            raise _unfit(
                step, f"{named[1]} ({named[2]})", "The 8-bit scheme of tfmot has no such layer in that place."
            ) from error
        activations = [f"{x.name} has {x.activation.__name__}" for x in model.layers if hasattr(x, "activation")]
        raise _unfit(step, model.name, f"{str(error).splitlines()[0]} ({', '.join(activations)})") from error


def _unfit(step: str, what: str, why: str) -> ModelError:
    return ModelError(
        f"{step}: cannot quantize {what} for training.",
        why,
        "Leave qat out and export with int8 (ptq calibrates every layer), or rewrite that layer.",
    )


def begin_ranges(model: Any, x: np.ndarray) -> None:
    """Let the ranges of activations begin at the least and greatest values over `x`, float32 (n, *input shape). tfmot's begin at
    -6 and 6 and follow each batch by a thousandth: after a short training a ReLU's range still starts below 0, which wastes
    codes, and in the C a clamp that a range from 0 on does not need."""
    ranges = [v for v in model.non_trainable_variables if RANGE.search(v.name)]
    others = [(v, v.numpy()) for v in model.non_trainable_variables if not RANGE.search(v.name)]
    for _ in range(2):  # the second time for the digits that the first lost
        before = [v.numpy() for v in ranges]
        model(x, training=True)
        for variable, old in zip(ranges, before, strict=True):
            variable.assign(old + (variable.numpy() - old) / (1 - DECAY))
    for variable, value in others:
        variable.assign(value)
