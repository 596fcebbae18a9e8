"""Quantization-aware training: the network learns with its weights and activations rounded as int8 will round them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from mcuml.errors import ModelError
from mcuml.optimize import frameworks
from mcuml.optimize.steps import QUANTIZED, Context, Step
from mcuml.optimize.training import Learning


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

    def apply(self, model: Any, context: Context) -> Any:
        frameworks.seed_everything(context.seed)
        model = quantized(model, self.name)
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
