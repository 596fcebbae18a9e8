"""Trains the digit classifier that `mcuml demo` runs: scikit-learn's 8x8 digits to a small int8 .tflite.

Writes digits_int8.tflite and digits_test.npz (100 held-out samples, ten of each digit) beside this file; with a folder given,
digits.keras and digits.npz (all samples) into that instead: what docs/OPTIMIZE.md begins with. Needs

    pip install "mcuml[optimize]" scikit-learn
    python examples/digits/train.py [FOLDER]

Deterministic on one machine type: the seed, the split and the order of the batches are fixed.
"""

import argparse
import os
import random
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # Keras 2: what the converter and the later optimization toolkit understand
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
import tf_keras as keras
from sklearn.datasets import load_digits

HERE = Path(__file__).resolve().parent
SEED = 3
TEST_SAMPLES = 500


def load() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x_train, y_train, x_test, y_test: grey levels uint8 (n, 8, 8, 1) in 0..255, labels uint8 (n,)."""
    digits = load_digits()
    x = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    y = digits.target.astype(np.uint8)
    order = np.random.default_rng(SEED).permutation(len(x))
    test, train = order[:TEST_SAMPLES], order[TEST_SAMPLES:]
    return x[train], y[train], x[test], y[test]


def network() -> keras.Model:
    return keras.Sequential(
        [
            keras.layers.Input((8, 8, 1), name="digit"),
            keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="strokes"),
            keras.layers.MaxPooling2D(2, name="halve"),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="parts"),
            keras.layers.MaxPooling2D(2, name="quarter"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, activation="softmax", name="class"),
        ],
        name="digits",
    )


def shifted(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The training digits and each of them moved one pixel in four directions: a pen is never quite centred."""
    moves = [np.roll(x, by, axis) for axis in (1, 2) for by in (-1, 1)]
    return np.concatenate([x, *moves]), np.concatenate([y] * 5)


def convert(model: keras.Model, calibration: np.ndarray) -> bytes:
    """Full-integer int8 .tflite: int8 input and output, weights per channel."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample[None]] for sample in calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def accuracy(tflite: bytes, x: np.ndarray, y: np.ndarray) -> float:
    """Share of uint8 images (n, 8, 8, 1) that the int8 model labels right. Its input is grey level - 128."""
    interpreter = tf.lite.Interpreter(
        model_content=tflite, experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    assert source["quantization"][1] == -128, source["quantization"]
    right = 0
    for image, label in zip(x, y, strict=True):
        interpreter.set_tensor(source["index"], (image.astype(np.int16) - 128).astype(np.int8)[None])
        interpreter.invoke()
        right += int(interpreter.get_tensor(target["index"])[0].argmax() == label)
    return right / len(x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", metavar="FOLDER", help="write digits.keras and digits.npz there")
    folder = parser.parse_args().folder
    random.seed(SEED)
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    x_train, y_train, x_test, y_test = load()
    x, y = shifted(x_train.astype(np.float32) / 255, y_train)
    model = network()
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=64, epochs=60, verbose=2)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        model.save(folder / "digits.keras")
        np.savez_compressed(folder / "digits.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
        print(f"{folder / 'digits.keras'}: {model.evaluate(x_test / 255.0, y_test, verbose=0)[1]:.4f} on {len(x_test)} samples")
        return
    # Black and white are in the calibration set, so that the input's range is 0..1 and its zero point -128.
    calibration = np.concatenate(
        [x_train[:300].astype(np.float32) / 255, np.zeros((1, 8, 8, 1), np.float32), np.ones((1, 8, 8, 1), np.float32)]
    )
    tflite = convert(model, calibration)
    of_float = model.evaluate(x_test / 255.0, y_test, verbose=0)[1]
    print(f"float {of_float:.4f}, int8 {accuracy(tflite, x_test, y_test):.4f} on {len(x_test)} held-out samples")
    kept = np.sort(np.concatenate([np.flatnonzero(y_test == digit)[:10] for digit in range(10)]))
    (HERE / "digits_int8.tflite").write_bytes(tflite)
    np.savez_compressed(HERE / "digits_test.npz", x=x_test[kept], y=y_test[kept])
    right = accuracy(tflite, x_test[kept], y_test[kept])
    print(f"digits_int8.tflite: {len(tflite):,} bytes; digits_test.npz: {len(kept)} samples, {100 * right:.0f} % right")


if __name__ == "__main__":
    main()
