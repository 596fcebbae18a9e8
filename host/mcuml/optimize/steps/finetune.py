"""Fine-tune: train some more, with what earlier steps left in the weights kept."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from mcuml.optimize import surgery
from mcuml.optimize.steps import Context, Step
from mcuml.optimize.training import Learning


class Finetune(Learning, Step):
    """Zeros of a pruned model stay zero, shared values of a clustered one stay shared, ranges of qat go on learning."""

    name = "finetune"
    summary = "train some more; zeros stay zero and shared weights stay shared"
    rank = 55
    in_all = False  # every step that costs accuracy trains on by itself

    learning_rate: float = Field(default=1e-4, gt=0, le=1)

    def apply(self, model: Any, context: Context) -> Any:
        model = surgery.replace(model, {})
        self.learn(model, context, self.name)
        return model
