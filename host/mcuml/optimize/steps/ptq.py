"""Post-training quantization, the last step of a recipe: the .tflite file in one of the formats."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

from pydantic import Field

from mcuml.optimize import frameworks
from mcuml.optimize.steps import EXPORTED, Context, Step

Format = Literal["float32", "dynamic", "float16", "int8", "int16x8"]


class Ptq(Step):
    name = "ptq"
    summary = "post-training quantization to a .tflite file: float32 (none), dynamic (range), float16, int8, int16x8"
    gives = frozenset({EXPORTED})
    short: ClassVar = {word: {"format": word} for word in get_args(Format)}
    in_all: ClassVar[bool] = False

    format: Format = "int8"
    samples: int = Field(default=100, ge=1)  # of the training data, for the ranges of activations

    def convert(self, model: Any, context: Context) -> bytes:
        tf = frameworks.tensorflow()
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if self.format != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if self.format == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if self.format == "int8":
            converter.representative_dataset = lambda: ([x[None]] for x in context.data.train.x[: self.samples])
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.int8
        return bytes(converter.convert())
