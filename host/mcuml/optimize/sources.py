"""Models in: .keras, .h5 and SavedModel, of Keras 2 and Keras 3, as tf_keras models. No code from a file is ever run."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from mcuml.errors import ModelError, RequestError
from mcuml.optimize import frameworks, rebuild, stored

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MOST_BYTES = {CONFIG: 1 << 25, WEIGHTS: 2 * stored.MOST_BYTES}  # with the optimizer's state
MAGIC = {b"PK\x03\x04": ".keras", b"\x89HDF": ".h5"}
DAMAGED = (OSError, EOFError, RuntimeError, ValueError, LookupError, ArithmeticError, MemoryError)  # what h5py raises
SAVE_AGAIN = "Save the model again: model.save('model.keras')."


def load(path: Path) -> Any:
    """The classifier in `path` as a tf_keras functional model with one input and one output (batch, classes), not compiled.
    Layers keep their names, settings and `trainable`. Raises RequestError or ModelError naming file and layer."""
    if not path.exists():
        raise RequestError(f"There is no model {path}.", "", "Give a .keras or .h5 file, or a SavedModel folder.")
    if path.suffix.lower() == ".tflite":
        raise RequestError(
            f"{path} is a TFLite model, which cannot be trained any more.",
            "mcuml optimize starts from a Keras model.",
            "Give the .keras or .h5 file that it was made from; a .tflite file goes into mcuml bench.",
        )
    model = _saved_model(path) if path.is_dir() else _file(path)
    _check(model, path)
    return model


def sha256(path: Path) -> str:
    """Of the file's bytes; of a folder's names and bytes, in the order of the names. Raises RequestError."""
    digest = hashlib.sha256()
    try:
        for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            if path.is_dir():
                digest.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
            digest.update(file.read_bytes())
    except OSError as error:
        raise RequestError(f"{path} cannot be read.", str(error), "") from error
    return digest.hexdigest()


def _file(path: Path) -> Any:
    with _readable(path), path.open("rb") as file:
        kind = MAGIC.get(file.read(4))
    if kind == ".keras":
        return _keras(path)
    if kind == ".h5":
        return _hdf5(path)
    raise ModelError(
        f"{path} is neither a .keras nor a .h5 file.",
        f"It begins with none of their signatures, and has {path.stat().st_size:,} bytes.",
        f"{SAVE_AGAIN} A file that was cut short or not fetched from Git LFS looks like this, too.",
    )


def _keras(path: Path) -> Any:
    where = f"{path}"
    with _readable(path), zipfile.ZipFile(path) as archive:
        config, weights = (_member(archive, name, path) for name in (CONFIG, WEIGHTS))
    model = rebuild.description(_json(config, where), where)
    with _readable(path), h5py.File(io.BytesIO(weights), "r") as file:
        return rebuild.build(model, _guarded(stored.KerasWeights(file)), where)


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    if name not in archive.namelist():
        raise ModelError(f"{path} has no {name}.", f"It holds: {', '.join(archive.namelist()[:8]) or 'nothing'}.", SAVE_AGAIN)
    with archive.open(name) as file:
        content = file.read(MOST_BYTES[name] + 1)
    if len(content) > MOST_BYTES[name]:
        raise ModelError(
            f"{path}: {name} has more than {MOST_BYTES[name]:,} bytes.", "No microcontroller's model is so large.", ""
        )
    return content


def _hdf5(path: Path) -> Any:
    with _readable(path), h5py.File(path, "r") as file:
        config = file.attrs.get("model_config")
        if config is None:
            raise ModelError(
                f"{path} holds weights, but not the model.",
                f"It holds: {', '.join(list(file)[:8]) or 'nothing'}; the attribute model_config is missing.",
                "Save the whole model, not only model.save_weights(): model.save('model.keras').",
            )
        model = rebuild.description(_json(config, f"{path}"), f"{path}")
        return rebuild.build(model, _guarded(stored.Hdf5Weights(file)), f"{path}")


def _saved_model(path: Path) -> Any:
    metadata, where = path / "keras_metadata.pb", f"{path}"
    if not (path / "saved_model.pb").is_file() or not metadata.is_file():
        exported = (path / "saved_model.pb").is_file()
        raise ModelError(
            f"{path} is a SavedModel without Keras's description of its layers." if exported else f"{path} is no SavedModel.",
            "model.export() and tf.saved_model.save() write none: what they keep can be run, but not rebuilt." if exported
            else "There is no saved_model.pb in it.",
            SAVE_AGAIN,
        )  # fmt: skip
    tf = frameworks.tensorflow()
    from google.protobuf.message import DecodeError
    from tf_keras.protobuf import saved_metadata_pb2

    try:
        nodes = saved_metadata_pb2.SavedMetadata.FromString(metadata.read_bytes()).nodes
        root = next(node.metadata for node in nodes if node.node_path == "root")
        weights = stored.CheckpointWeights(str(path / "variables" / "variables"))
    except (DecodeError, StopIteration, OSError, ValueError, tf.errors.OpError, IndexError) as error:
        raise ModelError(f"{path} cannot be read as a SavedModel.", f"{type(error).__name__}: {error}", SAVE_AGAIN) from error
    return rebuild.build(rebuild.description(_json(root, where), where), _guarded(weights), where)


def _json(text: str | bytes, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError, TypeError) as error:
        raise rebuild.malformed(where, error) from error


def _guarded(weights: rebuild.Weights) -> rebuild.Weights:
    """With what reading a damaged file raises as the sentence that the layer's error takes."""

    def read(chain: rebuild.Chain) -> Any:
        try:
            return weights(chain)
        except (*DAMAGED, frameworks.tensorflow().errors.OpError) as error:
            raise rebuild.Impossible(f"its weights cannot be read: {type(error).__name__}: {error}") from error

    return read


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (*DAMAGED, NotImplementedError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
        raise ModelError(f"{path} cannot be read.", f"{type(error).__name__}: {error}", SAVE_AGAIN) from error


def _check(model: Any, path: Path) -> None:
    shape = model.output_shape
    if len(shape) != 2 or shape[1] < 2:
        advice = "Let it end in Flatten or GlobalAveragePooling2D and Dense(classes)."
        if shape[1:] == (1,):
            advice = "Two classes need two outputs: let it end in Dense(2, activation='softmax'), and train that."
        raise ModelError(
            f"{path} is no classifier: its output has the shape {tuple(shape)}.",
            "mcuml optimize compares accuracies: one value per class.",
            advice,
        )
