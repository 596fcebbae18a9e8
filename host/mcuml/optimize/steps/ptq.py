"""Post-training quantization, the last step of a recipe: the .tflite file in one of the formats."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from mcuml.optimize import bias_correction, calibration, converter
from mcuml.optimize.converter import Options
from mcuml.optimize.steps import EXPORTED, QUANTIZED, Context, Step

Format = Literal["float32", "dynamic", "float16", "int8", "int16x8"]
INTEGER = ("int8", "int16x8")


class Ptq(Step):
    name = "ptq"
    summary = "post-training quantization to a .tflite file: float32 (none), dynamic (range), float16, int8, int16x8"
    gives = frozenset({EXPORTED})
    short: ClassVar = {word: {"format": word} for word in get_args(Format)}
    in_all: ClassVar[bool] = False
    version: ClassVar[int] = 3

    format: Format = "int8"
    samples: int = Field(default=200, ge=calibration.FEWEST)  # of the training data, for the ranges of activations
    calibration: Literal["auto", "minmax", "percentile", "entropy"] = "auto"  # auto: percentile for int8
    percentile: float = Field(default=99.99, gt=50, le=100)  # the share of a tensor's values that its range covers
    per_tensor: bool = False  # one scale for all channels of a weight tensor
    float_io: bool = False  # inputs and outputs stay float32
    bias_correction: bool = False

    @model_validator(mode="after")
    def _fits_the_format(self) -> Ptq:
        if self.float_io and self.format not in INTEGER:
            raise ValueError(f"float_io is for {' and '.join(INTEGER)}; {self.format} has float inputs and outputs anyhow")
        if self.calibration not in ("auto", "minmax") and self.format != "int8":
            raise ValueError(f"calibration is for int8: {self.format} has room for the whole range, or measures none")
        if self.per_tensor and self.format not in (*INTEGER, "dynamic"):
            raise ValueError(f"per_tensor is for formats with int8 weights, which {self.format} has not")
        if self.bias_correction and self.format not in (*INTEGER, "dynamic"):
            raise ValueError(f"bias_correction repairs what int8 weights do, which {self.format} has not")
        return self

    def legal_after(self, traits: frozenset[str]) -> str:
        if QUANTIZED not in traits:
            return ""
        if self.format != "int8":
            return (
                f"the model has learned to be int8, and its fake quantization would stay in a {self.format} file; "
                "end with int8, or with int8(float_io=true) for float inputs and outputs"
            )
        if self.calibration != "auto" or self.bias_correction or self.per_tensor:
            return "the ranges and scales are those learned in training; leave out calibration, per_tensor and bias_correction"
        return ""

    def convert(self, model: Any, context: Context) -> bytes:
        options = Options(self.float_io, self.per_tensor, QUANTIZED in context.traits)
        converter.check(model, self.format)
        if options.learned or (self.format not in INTEGER and not self.bias_correction):
            return converter.plain(model, self.format, options)
        samples = calibration.representative(context.data.train, context.data.classes, self.samples, context.seed)
        context.progress(f"ptq: ranges over {len(samples)} samples", 0.1)
        measured = converter.calibrated(model, samples, options)
        if self.format == "int8":
            calibration.check(measured)
            if self.calibration != "minmax":
                method = "entropy" if self.calibration == "entropy" else "percentile"
                measured = calibration.with_ranges(measured, samples, method, self.percentile)
            file = converter.quantized(measured, model, options)
        elif self.format == "int16x8":
            file = converter.wide(model, samples, options)
        else:
            file = converter.plain(model, self.format, options)
        return bias_correction.corrected(file, measured, samples) if self.bias_correction else file
