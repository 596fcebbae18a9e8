"""Small models of every layer that mcuml optimize knows, made by whichever Keras is given; run as a script, by Keras 3.

python keras_models.py FOLDER       writes NAME.keras, NAME.h5 and NAME.npz (x, y) of each model
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

IMAGE, SIGNAL = (8, 6, 4), (12, 4)
KERAS_3 = __name__ == "__main__"


def around(layer: str, shape: tuple[int, ...] = IMAGE, **settings: Any) -> Callable[[Any], Any]:
    def make(keras: Any) -> Any:
        source = keras.Input(shape, name="source")
        middle = getattr(keras.layers, layer)(**settings)(source)
        return keras.Model(source, keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(middle)))

    return make


def merged(layer: str, **settings: Any) -> Callable[[Any], Any]:
    def make(keras: Any) -> Any:
        source = keras.Input(IMAGE)
        sides = [keras.layers.Conv2D(5, 3, padding="same", activation=a)(source) for a in ("tanh", "relu")]
        middle = getattr(keras.layers, layer)(**settings)(sides)
        return keras.Model(source, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(middle)))

    return make


def sequential(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 6)),
            layers.Reshape((8, 6, 1)),
            layers.Conv2D(4, (3, 2), strides=(2, 1), use_bias=False, kernel_regularizer=keras.regularizers.L2(0.25)),
            layers.BatchNormalization(epsilon=0.01),
            layers.ReLU(),
            layers.Conv2D(4, 2, name="last conv, of it" if KERAS_3 else "last_conv"),  # Keras 2 cannot name it so
            layers.Flatten(),
            layers.Dense(3, kernel_constraint=keras.constraints.MaxNorm(2.0), trainable=False),
        ]
    )


def nested(keras: Any) -> Any:
    layers = keras.layers
    inner = keras.Sequential([keras.Input(IMAGE), layers.Conv2D(4, 3, padding="same", name="c"), layers.BatchNormalization()])
    base_source = keras.Input(IMAGE)
    base = keras.Model(base_source, layers.Conv2D(4, 3, padding="same", name="c")(layers.ReLU()(base_source)), name="base")
    source = keras.Input(IMAGE)
    middle = layers.Add()([inner(source, training=False), base(source)])
    middle = layers.Conv2D(4, 1, name="head")(base(middle))
    return keras.Model(source, layers.Dense(3)(layers.GlobalMaxPooling2D()(middle)))


def residual(keras: Any) -> Any:
    """Calculations in the code instead of layers, with tensors and with numbers."""
    source = keras.Input(IMAGE)
    middle = keras.layers.Conv2D(4, 3, padding="same")(source / 4.0 - 0.5)
    middle = (middle + source) * 2.0
    middle = middle * source - keras.layers.Conv2D(4, 1)(source)
    middle = 3.0 + 0.5 * middle
    return keras.Model(source, keras.layers.Dense(3)(keras.layers.Flatten()(middle)))


def shared(keras: Any) -> Any:
    source = keras.Input(IMAGE)
    twice = keras.layers.Conv2D(4, 3, padding="same", activation="tanh")
    return keras.Model(source, keras.layers.Dense(3)(keras.layers.Flatten()(twice(twice(source)))))


def counted(keras: Any) -> Any:
    """So many layers of a class that their order by name is not that of their numbers."""
    layers = [keras.layers.Dense(4, activation="tanh") for _ in range(12)]
    return keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(3)])


MODELS: dict[str, Callable[[Any], Any]] = {
    "sequential": sequential,
    "nested": nested,
    "residual": residual,
    "shared": shared,
    "counted": counted,
    "conv1d": around("Conv1D", SIGNAL, filters=3, kernel_size=3, padding="causal", dilation_rate=2),
    "conv2d": around("Conv2D", filters=6, kernel_size=(3, 2), strides=2, padding="same", groups=2, activation="elu"),
    "conv2d-dilated": around("Conv2D", filters=3, kernel_size=2, dilation_rate=2, kernel_regularizer="l2"),
    "conv2d-transpose": around("Conv2DTranspose", filters=3, kernel_size=3, strides=2, padding="same"),
    "depthwise1d": around("DepthwiseConv1D", SIGNAL, kernel_size=3, depth_multiplier=2),
    "depthwise2d": around("DepthwiseConv2D", kernel_size=(3, 2), depth_multiplier=2, padding="same", activation="relu6"),
    "separable1d": around("SeparableConv1D", SIGNAL, filters=3, kernel_size=3),
    "separable2d": around("SeparableConv2D", filters=3, kernel_size=3, depth_multiplier=2),
    "dense-on-image": around("Dense", units=5, use_bias=False),
    "batch-norm": around("BatchNormalization", epsilon=0.1, scale=False),
    "layer-norm": around("LayerNormalization", axis=-1),
    "relu": around("ReLU", max_value=0.5, negative_slope=0.25, threshold=0.125),
    "leaky-relu": around("LeakyReLU", **({"negative_slope": 0.125} if KERAS_3 else {"alpha": 0.125})),
    "prelu": around("PReLU", shared_axes=[1, 2]),
    "elu": around("ELU", alpha=0.5),
    "softmax": around("Softmax", axis=2),
    "max-pool1d": around("MaxPooling1D", SIGNAL, pool_size=3, strides=2),
    "max-pool2d": around("MaxPooling2D", pool_size=(2, 3), padding="same"),
    "average-pool1d": around("AveragePooling1D", SIGNAL, pool_size=3),
    "average-pool2d": around("AveragePooling2D", pool_size=3, strides=2, padding="same"),
    "global-max1d": around("GlobalMaxPooling1D", SIGNAL),
    "global-max2d": around("GlobalMaxPooling2D", keepdims=True),
    "global-average1d": around("GlobalAveragePooling1D", SIGNAL),
    "global-average2d": around("GlobalAveragePooling2D"),
    "zero-padding1d": around("ZeroPadding1D", SIGNAL, padding=(1, 2)),
    "zero-padding2d": around("ZeroPadding2D", padding=((1, 2), (0, 3))),
    "cropping1d": around("Cropping1D", SIGNAL, cropping=(1, 2)),
    "cropping2d": around("Cropping2D", cropping=((1, 2), (0, 3))),
    "up-sampling1d": around("UpSampling1D", SIGNAL, size=2),
    "up-sampling2d": around("UpSampling2D", size=(2, 3), interpolation="bilinear"),
    "permute": around("Permute", dims=(3, 1, 2)),
    "repeat-vector": around("RepeatVector", (4,), n=3),
    "rescaling": around("Rescaling", scale=0.5, offset=-0.25),
    "rescaling-by-channel": around("Rescaling", scale=[0.5, 0.25, 2.0, 1.0], offset=[0.0, 1.0, 2.0, 3.0]),
    "dropout": around("Dropout", rate=0.5),
    "spatial-dropout1d": around("SpatialDropout1D", SIGNAL, rate=0.5),
    "spatial-dropout2d": around("SpatialDropout2D", rate=0.5),
    "gaussian-noise": around("GaussianNoise", stddev=0.5),
    "gaussian-dropout": around("GaussianDropout", rate=0.5),
    "activity-regularization": around("ActivityRegularization", l1=0.5),
    "add": merged("Add"),
    "subtract": merged("Subtract"),
    "multiply": merged("Multiply"),
    "average": merged("Average"),
    "maximum": merged("Maximum"),
    "minimum": merged("Minimum"),
    "concatenate": merged("Concatenate", axis=2),
    **{
        f"activation-{name}": around("Activation", activation=name)
        for name in (
            "linear relu relu6 sigmoid softmax tanh elu selu softplus softsign exponential gelu swish silu mish".split()  # noqa: SIM905
        )
    },
}
KERAS_2_ONLY = {"thresholded-relu": around("ThresholdedReLU", theta=0.25)}


def made(keras: Any, name: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """The model with random weights, inputs, and its outputs for them."""
    rng = np.random.default_rng(3)
    model = (MODELS | KERAS_2_ONLY)[name](keras)
    # Positive, as variances must be, and all different.
    model.set_weights([rng.uniform(0.1, 1, w.shape) / max(1, np.prod(w.shape[:-1])) ** 0.5 for w in model.get_weights()])
    x = rng.normal(0, 1, (5, *model.input_shape[1:])).astype(np.float32)
    return model, x, np.asarray(model(x))


def write(keras: Any, name: str, folder: Path, *suffixes: str) -> None:
    model, x, y = made(keras, name)
    for suffix in suffixes:
        model.save(folder / f"{name}{suffix}")
    np.savez(folder / f"{name}.npz", x=x, y=y)


def refused(keras: Any) -> dict[str, Any]:
    """Models that mcuml optimize does not take, as Keras 3 makes them."""
    layers, source = keras.layers, keras.Input(IMAGE)

    @keras.saving.register_keras_serializable(package="mine")
    class Doubled(layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 2

    class Subclassed(keras.Model):
        def __init__(self, **settings: Any):
            super().__init__(**settings)
            self.dense = layers.Dense(3)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    subclassed = Subclassed()
    subclassed(np.zeros((1, 4)))
    flat = layers.Flatten()(source)
    end = layers.Dense(3)(flat)
    other = keras.Input((5,))
    open_length = keras.Input((None, 4))
    several = layers.Lambda(lambda v: v * 2, name="doubler")(layers.RandomFlip()(Doubled(name="own")(source)))
    return {
        "several": keras.Model(source, layers.Dense(3)(layers.Flatten()(several))),
        "subclassed": subclassed,
        "two-inputs": keras.Model([source, other], layers.Dense(3)(layers.Concatenate()([flat, other]))),
        "two-outputs": keras.Model(source, [end, layers.Dense(2)(flat)]),
        "open-length": keras.Model(open_length, layers.Dense(3)(layers.GlobalMaxPooling1D()(open_length))),
        "one-output": keras.Model(source, layers.Dense(1, activation="sigmoid")(flat)),
        "image-out": keras.Model(source, layers.Conv2D(3, 1)(source)),
        "half": keras.Model(source, layers.Dense(3, dtype="mixed_float16")(flat)),
        "recurrent": keras.Sequential([keras.Input(SIGNAL), layers.LSTM(4), layers.Dense(3)]),
        "hard-sigmoid": keras.Model(source, layers.Dense(3)(layers.Flatten()(layers.Activation("hard_sigmoid")(source)))),
        "calculation": keras.Model(source, layers.Dense(3)(keras.ops.sin(flat))),
        "channels-first": keras.Model(source, layers.Dense(3)(layers.GlobalMaxPooling2D(data_format="channels_first")(source))),
    }


if KERAS_3:
    import keras

    place = Path(sys.argv[1])
    for title in MODELS:
        write(keras, title, place, ".keras", ".h5")
    for title, bad in refused(keras).items():
        bad.save(place / f"refused-{title}.keras")
