"""Training: one loop for every step that learns, with a stop at NaN and the zeros of pruned weights kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcuml.errors import CheckError
from mcuml.optimize import frameworks
from mcuml.optimize.steps import Context


def loss_of(model: Any) -> Any:
    """Sparse cross-entropy, from logits unless the model ends in a softmax."""
    keras = frameworks.keras()
    activation = getattr(model.layers[-1], "activation", None)
    ends_in_softmax = isinstance(model.layers[-1], keras.layers.Softmax) or activation is keras.activations.softmax
    return keras.losses.SparseCategoricalCrossentropy(from_logits=not ends_in_softmax)


def fit(
    model: Any, context: Context, step: str, epochs: int, batch: int, learning_rate: float, callbacks: tuple[Any, ...] = ()
) -> None:
    """Train `model` in place on context.data.train. Raises CheckError, naming `step`, when the loss is no number."""
    keras: Any = frameworks.keras()
    frameworks.seed_everything(context.seed)
    model.compile(optimizer=keras.optimizers.Adam(learning_rate), loss=loss_of(model), steps_per_execution=16)

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if not np.isfinite(logs["loss"]):
                raise CheckError(
                    f"{step}: the loss is {logs['loss']} after epoch {epoch + 1} of {epochs}.",
                    f"Learning rate {learning_rate}, batch {batch}.",
                    "Lower the learning rate, or look for extreme values in the data.",
                )
            context.progress(f"{step}: epoch {epoch + 1} of {epochs}, loss {logs['loss']:.4f}", (epoch + 1) / epochs)

    train = context.data.train
    model.fit(train.x, train.y, batch_size=batch, epochs=epochs, verbose=0, callbacks=[Watch(), *callbacks])
