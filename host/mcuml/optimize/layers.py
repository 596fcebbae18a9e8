"""The layers that a model file may name, and their settings in Keras 2 and Keras 3 files as tf_keras takes them.

A model file is untrusted: only what stands here is made from it. Nothing is imported, called or unpickled by a name in a file.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mcuml.optimize import frameworks

# By tf_keras's names; of the initializers that the settings also hold, none is needed: the weights come from the file.
KNOWN = frozenset(
    (
        "Dense", "Conv1D", "Conv2D", "Conv2DTranspose", "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D",
        "SeparableConv2D", "BatchNormalization", "LayerNormalization", "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU",
        "ThresholdedReLU", "Softmax", "MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D",
        "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "ZeroPadding1D",
        "ZeroPadding2D", "Cropping1D", "Cropping2D", "UpSampling1D", "UpSampling2D", "Flatten", "Reshape", "Permute",
        "RepeatVector", "Rescaling", "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate",
        "Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "ActivityRegularization",
    )
)  # fmt: skip
MODELS = ("Sequential", "Functional", "Model")
ACTIVATIONS = frozenset(
    (
        "linear", "relu", "relu6", "sigmoid", "softmax", "tanh", "elu", "selu", "softplus", "softsign", "exponential",
        "gelu", "swish", "silu", "mish",
    )
)  # fmt: skip
REGULARIZERS, CONSTRAINTS = ("L1", "L2", "L1L2"), ("MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm")
RENAMED = {("LeakyReLU", "negative_slope"): "alpha"}
SKIPPED = frozenset({"name", "trainable", "dtype", "batch_input_shape", "batch_shape", "renorm_momentum"})
# A calculation in the model's code, by the last part of its name in the file: the layer that does the same.
BINARY = {"add": "Add", "subtract": "Subtract", "multiply": "Multiply", "maximum": "Maximum", "minimum": "Minimum"}
BY_NUMBER: dict[str, Callable[[float], tuple[float, float]]] = {  # with a number: scale and offset of Rescaling
    "add": lambda number: (1.0, number),
    "subtract": lambda number: (1.0, -number),
    "multiply": lambda number: (number, 0.0),
    **dict.fromkeys(("divide", "truedivide", "truediv"), lambda number: (1.0 / number, 0.0)),
}
UNARY = frozenset({"relu", "relu6", "sigmoid", "tanh"})

ADVICE = {
    "Lambda": "it runs Python code from the file; write it with Rescaling, Activation or another layer of Keras",
    "Normalization": "replace it by Rescaling with its mean and variance worked in",
    **dict.fromkeys(
        ("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "TimeDistributed", "ConvLSTM1D", "ConvLSTM2D"),
        "mcuml optimize takes no recurrent layers; use Conv1D, or convert the model yourself and give the .tflite to mcuml bench",
    ),
    **dict.fromkeys(
        ("Embedding", "StringLookup", "IntegerLookup", "TextVectorization", "Hashing", "CategoryEncoding", "Discretization"),
        "do this before the model, so that its input is float32",
    ),
    **dict.fromkeys(
        ("MultiHeadAttention", "Attention", "AdditiveAttention", "GroupQueryAttention"),
        "mcuml has no attention; use convolutions",
    ),
    **dict.fromkeys(
        ("Conv3D", "Conv3DTranspose", "MaxPooling3D", "AveragePooling3D"), "use two dimensions: TFLite Micro has no third"
    ),
    "GroupNormalization": "use BatchNormalization, which is folded into the convolution",
    "SyncBatchNormalization": "use BatchNormalization",
    "TFSMLayer": "save the Keras model that it was exported from",
}
AUGMENTATION = "it does nothing at inference: build the model without it, copy the weights, and augment the data instead"


class Stored(BaseModel):
    """A layer as the file describes it, or a model, which is a layer too."""

    model_config = ConfigDict(extra="ignore")

    class_name: str
    config: dict[str, Any]
    name: str = ""
    module: str | None = None
    registered_name: str | None = None
    inbound_nodes: list[Any] = Field(default_factory=list)

    @property
    def label(self) -> str:
        return str(self.name or self.config.get("name") or self.class_name)

    @property
    def operation(self) -> str | None:
        """The name of a calculation that is no layer: `x + y` in the model's code."""
        if self.class_name == "TFOpLambda":
            return str(self.config.get("function", "")).rsplit(".", 1)[-1]
        if re.fullmatch(r"keras(\.src)?\.ops(\.\w+)*", self.module or ""):
            return self.class_name.lower()
        # Keras 3's .h5 files leave the module out; but all layers have settings that calculations have not.
        bare = not {"dtype", "trainable"} & set(self.config) and any(isinstance(n, dict) for n in self.inbound_nodes)
        return self.class_name.lower() if bare else None

    @property
    def is_model(self) -> bool:
        return self.class_name in MODELS and "layers" in self.config


class Impossible(Exception):
    """Why a layer cannot be rebuilt and what to do: the end of a sentence."""


def check(stored: Stored) -> None:
    """Raises Impossible where rebuilding this layer will not do."""
    if stored.operation is not None:
        if stored.operation not in {*BINARY, *BY_NUMBER, *UNARY}:
            raise Impossible(f"the calculation '{stored.operation}' in the model's code has no layer; use one of Keras's layers")
    elif stored.class_name != "InputLayer":
        settings(stored)
    if stored.class_name == "InputLayer" and stored.config.get("dtype") not in (None, "float32"):
        raise Impossible(f"its type is {stored.config['dtype']}; take float32")


def make(stored: Stored, name: str) -> Any:
    """The tf_keras layer. Raises Impossible."""
    keras = frameworks.keras()
    values = settings(stored)
    for key, value in values.items():
        if isinstance(value, Stored):
            kind = keras.regularizers if key.endswith("_regularizer") else keras.constraints
            values[key] = _called(getattr(kind, value.class_name), value.config)
    return _called(
        getattr(keras.layers, stored.class_name),
        values | {"name": name, "trainable": stored.config.get("trainable") is not False},
    )


def settings(stored: Stored) -> dict[str, Any]:
    """The settings of one of KNOWN for tf_keras. Raises Impossible."""
    _known(stored)
    kind = getattr(frameworks.keras().layers, stored.class_name)
    taken = {p for c in kind.__mro__ if "__init__" in vars(c) for p in inspect.signature(c.__init__).parameters}
    dtype = stored.config.get("dtype")
    dtype = dtype.get("config", {}).get("name") if isinstance(dtype, dict) else dtype
    if dtype not in (None, "float32"):
        raise Impossible(f"its type is {dtype}; build the model with the dtype policy float32 and copy the weights")
    values = {}
    for key, given in stored.config.items():
        key = RENAMED.get((stored.class_name, key), key)
        if key in SKIPPED or key.endswith("_initializer"):
            continue
        value = _value(key, given)
        if key in taken:
            values[key] = value
        elif value not in (None, False, "channels_last"):  # what Keras 3 has besides and leaves off does not matter
            raise Impossible(f"tf_keras has no setting {key}={value!r}; build the layer without it")
    return values


def _known(stored: Stored) -> None:
    name = stored.class_name
    foreign = not (stored.module or "keras").startswith(("keras", "tf_keras", "tensorflow.keras"))
    if foreign or ">" in f"{name}{stored.registered_name or ''}":
        raise Impossible("it is a class of your own, whose code mcuml does not have; build it from layers of Keras")
    if name not in KNOWN:
        raise Impossible(
            AUGMENTATION
            if name.startswith("Random")
            else ADVICE.get(name, "it is unknown to mcuml optimize; build it from others")
        )


def _value(key: str, value: Any) -> Any:
    if key.endswith(("_regularizer", "_constraint")):
        return None if value is None else _nested(key, value)
    if key == "activation":
        if value is not None and value not in sorted(ACTIVATIONS):
            shown = value.get("class_name", value) if isinstance(value, dict) else value
            raise Impossible(f"its activation {shown!r} is not the same in tf_keras; use one of {', '.join(sorted(ACTIVATIONS))}")
        return value
    if key == "data_format" and value not in (None, "channels_last"):
        raise Impossible(f"its data format is {value}; build the model with channels_last")
    return _plain(key, value)


def _nested(key: str, value: Any) -> Stored:
    names = REGULARIZERS if key.endswith("_regularizer") else CONSTRAINTS
    if not isinstance(value, dict) or value.get("class_name") not in names or not isinstance(value.get("config"), dict):
        raise Impossible(f"its {key} is none of {', '.join(names)}; build the layer without it")
    return Stored(class_name=value["class_name"], config={k: _plain(k, v) for k, v in value["config"].items()})


def _plain(key: str, value: Any) -> Any:
    """Numbers, strings and lists of them."""
    if isinstance(value, list | tuple):
        return [_plain(key, item) for item in value]
    if value is not None and not isinstance(value, bool | int | float | str):
        raise Impossible(f"its setting {key} is no number, text or list")
    return value


def _called(kind: Any, values: dict[str, Any]) -> Any:
    try:
        return kind(**values)
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Impossible(f"tf_keras refuses its settings: {error}") from error
