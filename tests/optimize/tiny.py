"""A network of 8x8 images that trains in seconds, and its data, as files: what tests of the whole command start from."""

from pathlib import Path

import numpy as np

from mcuml.optimize import frameworks, work

SIDE, CLASSES = 8, 3


def arrays(seed: int = 5) -> dict[str, np.ndarray]:
    """x_train, y_train, ...: which of three quarters of a noisy image is bright."""
    rng, found = np.random.default_rng(seed), {}
    for split, count in (("train", 240), ("val", 120), ("test", 120)):
        y = rng.integers(0, CLASSES, count)
        x = rng.normal(scale=0.6, size=(count, SIDE, SIDE, 1)).astype(np.float32)
        for image, label in zip(x, y, strict=True):
            top, left = divmod(int(label), 2)
            image[4 * top :, 4 * left :][:4, :4] += 1
        found |= {f"x_{split}": x, f"y_{split}": y}
    return found


def write(folder: Path) -> tuple[Path, Path]:
    """(model file, data file): a trained network with all that steps look for: batch normalization, a residual and a depthwise
    layer, pooling, dense layers."""
    keras, held = frameworks.keras(), arrays()
    layers = keras.layers
    keras.utils.set_random_seed(1)
    source = keras.Input((SIDE, SIDE, 1))
    stem = layers.Conv2D(4, 3, padding="same", use_bias=False)(source)
    stem = layers.ReLU()(layers.BatchNormalization()(stem))
    side = layers.DepthwiseConv2D(3, padding="same", activation="relu")(stem)
    joined = layers.ReLU()(layers.Add()([stem, layers.Conv2D(4, 1)(side)]))
    last = layers.Conv2D(8, 3, activation="relu")(layers.MaxPooling2D(2)(joined))
    flat = layers.Dense(8, activation="relu")(layers.Flatten()(last))
    model = keras.Model(source, layers.Dense(CLASSES, activation="softmax")(flat))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(held["x_train"], held["y_train"], epochs=12, verbose=0)
    work.save(model, folder / "tiny.keras")
    np.savez(folder / "tiny.npz", **held)
    return folder / "tiny.keras", folder / "tiny.npz"
