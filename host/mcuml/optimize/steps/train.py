"""Train: all weights drawn anew and trained from nothing, as a baseline is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from mcuml.optimize import frameworks
from mcuml.optimize.steps import CLUSTERED, QUANTIZED, SPARSE, Context, Step
from mcuml.optimize.training import Learning


class Train(Learning, Step):
    """The defaults are those of the paper's baseline. The zeros of a pruned model are zeros of the new weights too: what is
    trained from nothing is the network that pruning found."""

    name = "train"
    summary = "draw all weights anew from the seed and train from nothing"
    refuses: ClassVar[Mapping[str, str]] = {
        CLUSTERED: "weights drawn anew share no values; cluster afterwards",
        QUANTIZED: "the trained ranges belong to the weights that there are; put qat last",
    }
    in_all = False

    epochs: int = Field(default=10, ge=1, le=10_000)

    def apply(self, model: Any, context: Context) -> Any:
        frameworks.seed_everything(context.seed)
        fresh = frameworks.keras().models.clone_model(model)
        if SPARSE in context.traits:
            for new, old in zip(fresh.trainable_variables, model.trainable_variables, strict=True):
                if old.shape.rank >= 2:
                    new.assign(new * (old.numpy() != 0))
        self.learn(fresh, context, self.name)
        return fresh
