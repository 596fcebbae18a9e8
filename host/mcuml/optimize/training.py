"""Training: one loop for every step that learns, which stops at NaN and keeps what earlier steps left in the weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from mcuml.errors import CheckError, RequestError
from mcuml.optimize import frameworks
from mcuml.optimize.steps import CLUSTERED, SPARSE, Context

CHUNK = 25  # updates in one call of the compiled loop: an interrupt waits for its end
ADVICE = "Lower the learning rate, or look for extreme values in the data."
SHIFT = 8  # an image is moved by up to its side divided by this: 4 of 32 pixels
Rate = Literal["constant", "cosine"]
Augment = Literal["none", "shift", "shift-flip"]
Kept = tuple[Any, Callable[[Any], Any]]  # a variable, and what brings its value back to the allowed ones after an update


class Learning(BaseModel):
    """The settings of every step that trains. `batch`: samples per update; the baseline's where it is None. `rate`: of the
    learning rate over the updates: constant, or from `learning_rate` to 0 along half a cosine. `augment`: images moved by up
    to an eighth of their side, and mirrored left to right, both at random."""

    epochs: int = Field(default=3, ge=0, le=10_000)
    batch: int | None = Field(default=None, ge=1, le=100_000)
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    rate: Rate = "constant"
    augment: Augment = "none"

    def learn(self, model: Any, context: Context, step: str, **more: Any) -> None:
        """fit() with these settings."""
        batch = self.batch or context.batch
        fit(model, context, step, self.epochs, batch, self.learning_rate, rate=self.rate, augment=self.augment, **more)


def ends_in_softmax(model: Any) -> bool:
    """Whether the outputs are probabilities; else they are logits."""
    keras = frameworks.keras()
    last = getattr(model.layers[-1], "layer", model.layers[-1])  # of qat's wrapper
    activation = getattr(last, "activation", None)
    activation = getattr(activation, "activation", activation)  # of qat's quantized activation
    return isinstance(last, keras.layers.Softmax) or activation is keras.activations.softmax


def loss_of(model: Any) -> Any:
    """Sparse cross-entropy, from logits unless the model ends in a softmax."""
    return frameworks.keras().losses.SparseCategoricalCrossentropy(from_logits=not ends_in_softmax(model))


def kept(model: Any, traits: frozenset[str]) -> list[Kept]:
    """What training must not undo, of a model whose earlier steps left `traits`: weights that are zero stay zero (SPARSE),
    weights of one tensor that are equal stay equal (CLUSTERED): each update gives them the mean of their updates."""
    tf = frameworks.tensorflow()
    found: list[Kept] = []

    def zeros(mask: Any) -> Callable[[Any], Any]:
        return lambda value: value * mask

    def equals(groups: Any, count: int, shape: Any) -> Callable[[Any], Any]:
        def mean(value: Any) -> Any:
            centres = tf.math.unsorted_segment_mean(tf.reshape(value, [-1]), groups, count)
            return tf.reshape(tf.gather(centres, groups), shape)

        return mean

    for variable in (v for v in model.trainable_variables if v.shape.rank >= 2):
        value = variable.numpy()
        if SPARSE in traits and not value.all():
            found.append((variable, zeros(tf.constant(value != 0, variable.dtype))))
        values, groups = np.unique(value, return_inverse=True)
        if CLUSTERED in traits and len(values) < value.size:
            found.append((variable, equals(tf.constant(groups.ravel(), tf.int32), len(values), value.shape)))
    return found


def fit(
    model: Any,
    context: Context,
    step: str,
    epochs: int,
    batch: int,
    learning_rate: float,
    *,
    rate: Rate = "constant",
    augment: Augment = "none",
    loss: Any = None,
    targets: np.ndarray | None = None,
    aims: Callable[[Any, Any], Any] | None = None,
    keep: Sequence[Kept] = (),
    between: Callable[[float], None] | None = None,
) -> None:
    """Train `model` in place on context.data.train with Adam, and keep what context.traits say and `keep` adds. A `loss` of its
    own, of (targets, outputs), takes `targets`, one row per sample, instead of the labels, or what `aims` makes of a batch's
    (augmented inputs, labels). `between` is told the share of the updates that are done, every CHUNK updates at most. Equal
    seeds give equal weights on one computer. Raises CheckError, naming `step`, epoch and update, when the loss or a weight is
    no number."""
    tf, train = frameworks.tensorflow(), context.data.train
    if augment != "none" and train.x.ndim != 4:
        raise RequestError(
            f"{step}: augment={augment} moves images, and the samples have the shape {train.x.shape[1:]}.",
            "",
            "Leave augment out.",
        )
    frameworks.seed_everything(context.seed)
    updates = -(-len(train) // batch)
    run = _loop(
        model,
        optimizer=_adam(learning_rate, rate, epochs * updates),
        loss=loss or loss_of(model),
        data=(tf.constant(train.x), tf.constant(train.y if targets is None else targets)),
        keep=[*kept(model, context.traits), *keep],
        batch=batch,
        change=changer(augment, context.seed),
        aims=aims or (lambda inputs, targets: targets),
    )
    for epoch in range(epochs):
        order, losses = np.random.default_rng([context.seed, epoch]).permutation(len(train)), []
        for first in range(0, updates, CHUNK):
            rows = order[first * batch : (first + CHUNK) * batch]
            losses += list(run(tf.constant(rows, tf.int32), tf.constant(epoch * updates + first, tf.int32)).numpy())
            if not np.isfinite(losses).all():
                at = int(np.flatnonzero(~np.isfinite(losses))[0])
                raise CheckError(
                    f"{step}: the loss is {losses[at]} at update {at + 1} of {updates}, epoch {epoch + 1} of {epochs}.",
                    f"Learning rate {learning_rate:g}, batch {batch}.",
                    ADVICE,
                )
            done = (epoch * updates + min(first + CHUNK, updates)) / (epochs * updates)
            if between:
                between(done)
            context.progress(f"{step}: epoch {epoch + 1} of {epochs}, loss {np.mean(losses):.4f}", done)
        # ReLU of NaN may be 0, and the last update is followed by no loss
        spoilt = [v.name for v in model.variables if v.dtype.is_floating and not np.isfinite(v.numpy()).all()]
        if spoilt:
            raise CheckError(
                f"{step}: after epoch {epoch + 1} of {epochs} weights are no numbers: {', '.join(spoilt[:4])}.",
                f"Learning rate {learning_rate:g}, batch {batch}.",
                ADVICE,
            )


def _adam(learning_rate: float, rate: Rate, updates: int) -> Any:
    keras = frameworks.keras()
    cosine = keras.optimizers.schedules.CosineDecay
    # compiled by XLA, an optimizer's update of small tensors takes three times as long
    return keras.optimizers.Adam(cosine(learning_rate, max(1, updates)) if rate == "cosine" else learning_rate, jit_compile=False)


def _loop(model: Any, optimizer: Any, loss: Any, data: Any, keep: Sequence[Kept], batch: int, change: Any, aims: Any) -> Any:
    """A compiled function of (rows, number of the first update): one update per `batch` of the rows, the losses of all.
    Keras' own fit() takes about twice as long on small networks, whose updates are shorter than its way to them."""
    tf = frameworks.tensorflow()
    optimizer.build(model.trainable_variables)

    def update(inputs: Any, targets: Any, number: Any) -> Any:
        inputs = change(inputs, number)
        targets = aims(inputs, targets)
        with tf.GradientTape() as tape:
            outputs = model(inputs, training=True)
            value = tf.add_n([tf.reduce_mean(loss(targets, outputs)), *model.losses])
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        for variable, back in keep:
            variable.assign(back(variable))
        return value

    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in data]

    @tf.function(input_signature=[*specs, tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int32)])
    def run(x: Any, y: Any, order: Any, first: Any) -> Any:
        count = (tf.size(order) + batch - 1) // batch
        losses = tf.TensorArray(tf.float32, size=count)
        for i in tf.range(count):
            rows = order[i * batch : (i + 1) * batch]
            losses = losses.write(i, update(tf.gather(x, rows), tf.gather(y, rows), first + i))
        return losses.stack()

    # TensorFlow keeps what a function captures for as long as the process lives: so it is handed the data each time
    return partial(run, *data)


def changer(augment: Augment, seed: int) -> Callable[[Any, Any], Any]:
    """A function of images (n, height, width, channels) and the update's number, which is the seed of their changes."""
    tf = frameworks.tensorflow()

    def moved(images: Any, number: Any) -> Any:
        count, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
        draw = tf.random.stateless_uniform([3, count], [seed, number], -1, 1)
        down, right = tf.round(draw[0] * (height // SHIFT)), tf.round(draw[1] * (width // SHIFT))
        side = tf.sign(draw[2]) if augment == "shift-flip" else tf.ones([count])
        zero, one = tf.zeros([count]), tf.ones([count])
        start = tf.where(side < 0, width - 1.0, 0.0) + right
        rows = tf.stack([side, zero, start, zero, one, down, zero, zero], axis=1)  # output (x, y) reads a x + b y + c, ...
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=rows,
            output_shape=[height, width],
            fill_value=0.0,
            interpolation="NEAREST",
            fill_mode="REFLECT",
        )

    return moved if augment != "none" else lambda images, number: images
