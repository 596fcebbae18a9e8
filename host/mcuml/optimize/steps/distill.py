"""Distill: train a small model towards what the baseline thinks of each sample, not only towards its label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import Field

from mcuml.errors import ModelError
from mcuml.optimize import frameworks, surgery, training
from mcuml.optimize.steps import Context, Step
from mcuml.optimize.training import Learning

BATCH = 256  # samples that the teacher takes at a time
TINY = 1e-7  # a probability below it counts as this, so that its logarithm is a number


class Distill(Learning, Step):
    """Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network (arXiv 1503.02531), section 2: with logits s of
    the model and t of its teacher (the recipe's baseline of the same seed) and temperature T, the loss of a sample is
    alpha CE(label, softmax s) + (1 - alpha) T^2 KL(softmax(t / T) || softmax(s / T)). The teacher sees the training data
    once, or, with `augment`, each image as the model sees it (Beyer et al.: Knowledge distillation: A good teacher is patient
    and consistent, arXiv 2106.05237), which takes about half as long again. Zeros of pruned weights stay zero, shared values of
    clustered ones shared, and ranges of qat go on learning."""

    name = "distill"
    summary = "train towards the baseline's outputs: a repair of what earlier steps lost"
    rank = 60

    alpha: float = Field(default=0.3, ge=0, le=1)  # weight of the labels; the rest is the teacher's
    temperature: float = Field(default=4.0, gt=0, le=100)
    epochs: int = Field(default=10, ge=1, le=10_000)

    def apply(self, model: Any, context: Context) -> Any:
        tf, student, train = frameworks.tensorflow(), surgery.replace(model, {}), context.data.train
        teacher = context.teacher()
        if teacher.output_shape != student.output_shape:
            raise ModelError(
                f"{self.name}: the model has outputs of shape {student.output_shape}, its teacher of {teacher.output_shape}.",
                "",
                "A model can only learn from one with the same classes.",
            )
        aims = self.aims(teacher)
        taught = {"aims": aims}
        if self.augment == "none":
            batches = (slice(first, first + BATCH) for first in range(0, len(train), BATCH))
            taught = {"targets": tf.concat([aims(train.x[rows], train.y[rows]) for rows in batches], axis=0)}
        self.learn(student, context, self.name, loss=self.loss(student), **taught)
        return student

    def aims(self, teacher: Any) -> Callable[[Any, Any], Any]:
        """What loss() takes as targets, of (inputs, labels (n)): (n, 1 + classes), the label and then the teacher's logits."""
        tf, softmax = frameworks.tensorflow(), training.ends_in_softmax(teacher)

        def aims(inputs: Any, labels: Any) -> Any:
            outputs = teacher(inputs, training=False)
            logits = tf.math.log(tf.maximum(outputs, TINY)) if softmax else outputs
            return tf.concat([tf.cast(labels, tf.float32)[:, None], logits], axis=1)

        return aims

    def loss(self, student: Any) -> Callable[[Any, Any], Any]:
        """The loss above: of targets (n, 1 + classes) as aims() makes them, and outputs (n, classes)."""
        tf, softmax = frameworks.tensorflow(), training.ends_in_softmax(student)

        def loss(targets: Any, outputs: Any) -> Any:
            labels, taught = tf.cast(targets[:, 0], tf.int32), targets[:, 1:] / self.temperature
            logits = tf.math.log(tf.maximum(outputs, TINY)) if softmax else outputs
            hard = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            apart = tf.nn.log_softmax(taught) - tf.nn.log_softmax(logits / self.temperature)
            soft = tf.reduce_sum(tf.nn.softmax(taught) * apart, axis=-1)
            return self.alpha * hard + (1 - self.alpha) * self.temperature**2 * soft

        return loss
