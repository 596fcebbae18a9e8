"""Training: one loop for every step that learns, with a stop at NaN and the zeros of pruned weights kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcuml.errors import CheckError
from mcuml.optimize import frameworks
from mcuml.optimize.steps import Context


def ends_in_softmax(model: Any) -> bool:
    """Whether the outputs are probabilities; else they are logits."""
    keras = frameworks.keras()
    last = model.layers[-1]
    return isinstance(last, keras.layers.Softmax) or getattr(last, "activation", None) is keras.activations.softmax


def loss_of(model: Any) -> Any:
    """Sparse cross-entropy, from logits unless the model ends in a softmax."""
    return frameworks.keras().losses.SparseCategoricalCrossentropy(from_logits=not ends_in_softmax(model))


def fit(
    model: Any,
    context: Context,
    step: str,
    epochs: int,
    batch: int,
    learning_rate: float,
    callbacks: tuple[Any, ...] = (),
    loss: Any = None,
    targets: np.ndarray | None = None,
) -> None:
    """Train `model` in place on context.data.train. A `loss` of its own takes `targets`, one row per sample, instead of the
    labels. Raises CheckError, naming `step`, when the loss is no number."""
    keras: Any = frameworks.keras()
    frameworks.seed_everything(context.seed)
    model.compile(optimizer=keras.optimizers.Adam(learning_rate), loss=loss or loss_of(model), steps_per_execution=16)

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if not np.isfinite(logs["loss"]):
                raise CheckError(
                    f"{step}: the loss is {logs['loss']} after epoch {epoch + 1} of {epochs}.",
                    f"Learning rate {learning_rate}, batch {batch}.",
                    "Lower the learning rate, or look for extreme values in the data.",
                )
            context.progress(f"{step}: epoch {epoch + 1} of {epochs}, loss {logs['loss']:.4f}", (epoch + 1) / epochs)

    x, y = context.data.train.x, context.data.train.y if targets is None else targets
    model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0, callbacks=[Watch(), *callbacks])
