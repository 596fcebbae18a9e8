"""Models in: every layer of both Keras's files computes the same after the rebuild; what cannot be is refused, layer by layer."""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py
import keras_models
import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'mcuml[optimize]'")

from mcuml.errors import ModelError, RequestError
from mcuml.optimize import frameworks, sources

CLOSE = 1e-6
SHARED = Path(__file__).resolve().parents[3] / "shared" / "models"
KERAS_2 = {**keras_models.MODELS, **keras_models.KERAS_2_ONLY}
SAVED_MODELS = ("sequential", "nested", "residual", "separable2d", "depthwise2d", "batch-norm", "prelu")
STRUCTURES = (*SAVED_MODELS, "shared", "counted", "conv1d", "concatenate")


def rare(names: Iterable[str]) -> list[Any]:
    """The layers that differ only in their settings are slow here: the files' ways of keeping weights are what is tested."""
    return [name if name in STRUCTURES else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.fixture(scope="session")
def keras_3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that Keras 3 wrote, in a process of its own: one process has one Keras."""
    folder = tmp_path_factory.mktemp("keras3")
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    command = [sys.executable, keras_models.__file__, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def same(path: Path, x: np.ndarray, y: np.ndarray) -> Any:
    """The model in `path`, after its outputs were compared."""
    model = sources.load(path)
    assert np.abs(np.asarray(model(x)) - y).max() <= CLOSE * max(1, np.abs(y).max())
    return model


@pytest.mark.parametrize("name", keras_models.MODELS)
def test_keras_3(name: str, keras_3: Path) -> None:
    arrays = np.load(keras_3 / f"{name}.npz")
    assert np.ptp(arrays["y"]) > 0
    same(keras_3 / f"{name}.keras", arrays["x"], arrays["y"])


@pytest.mark.parametrize("name", rare(keras_models.MODELS))
def test_keras_3_hdf5(name: str, keras_3: Path) -> None:
    arrays = np.load(keras_3 / f"{name}.npz")
    same(keras_3 / f"{name}.h5", arrays["x"], arrays["y"])


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", rare(KERAS_2))
def test_keras_2(name: str, tmp_path: Path) -> None:
    keras_models.write(frameworks.keras(), name, tmp_path, ".keras", ".h5", *([""] if name in SAVED_MODELS else []))
    arrays = np.load(tmp_path / f"{name}.npz")
    for suffix in (".keras", ".h5") + (("",) if name in SAVED_MODELS else ()):
        same(tmp_path / f"{name}{suffix}", arrays["x"], arrays["y"])


def test_names_settings_and_trainable_stay(keras_3: Path) -> None:
    keras = frameworks.keras()
    model = sources.load(keras_3 / "sequential.keras")
    convolution, normalization, last = model.layers[2], model.layers[3], model.layers[-1]
    assert [type(layer).__name__ for layer in model.layers[:3]] == ["InputLayer", "Reshape", "Conv2D"]
    assert isinstance(convolution.kernel_regularizer, keras.regularizers.L2) and float(convolution.kernel_regularizer.l2) == 0.25
    assert normalization.epsilon == 0.01 and not last.trainable
    assert isinstance(last.kernel_constraint, keras.constraints.MaxNorm)
    assert model.layers[5].name == "last_conv__of_it"
    assert keras.models.clone_model(model).count_params() == model.count_params()


def test_models_inside_are_laid_open(keras_3: Path) -> None:
    model = sources.load(keras_3 / "nested.keras")
    kinds = [type(layer).__name__ for layer in model.layers]
    assert not {"Sequential", "Functional"} & set(kinds)
    names = [layer.name for layer in model.layers]
    assert len(set(names)) == len(names) and "head" in names
    assert sorted(name[-1] for name in names if name == "c" or name.endswith("_c")) == ["c", "c"]


@pytest.mark.parametrize(
    ("file", "parameters", "input_shape"),
    [
        ("cnn_on_mcu/1_fashion_mnist_model.h5", 20410, (None, 28, 28)),
        ("mlperf_tiny/pretrainedResnet.h5", 78666, (None, 32, 32, 3)),
    ],
)
def test_shared_models(file: str, parameters: int, input_shape: tuple[int | None, ...]) -> None:
    path = SHARED / file
    if not path.exists():
        pytest.skip(f"{path} is not there")
    keras, x = frameworks.keras(), np.random.default_rng(0).normal(0, 1, (4, *input_shape[1:])).astype(np.float32)
    original = keras.models.load_model(path, compile=False)
    model = same(path, x, np.asarray(original(x)))
    assert model.input_shape == input_shape and model.output_shape == (None, 10)
    assert model.count_params() == parameters and model.optimizer is None


REFUSED = {  # what Keras 3 saves: words of the sentence
    "several": ["3 layers", "own (Doubled)", "class of your own", "doubler (Lambda)", "runs Python code", "(RandomFlip)"],
    "subclassed": ["class Subclassed", "keras.Model(inputs, outputs)"],
    "two-inputs": ["2 inputs", "one input"],
    "two-outputs": ["2 outputs", "one output"],
    "open-length": ["[None, None, 4]", "planned ahead"],
    "one-output": ["(None, 1)", "Dense(2, activation='softmax')"],
    "image-out": ["(None, 8, 6, 3)", "classifier"],
    "half": ["(Dense)", "mixed_float16", "float32"],
    "recurrent": ["(LSTM)", "Conv1D"],
    "hard-sigmoid": ["hard_sigmoid", "not the same"],
    "calculation": ["'sin'", "use one of Keras's layers"],
    "channels-first": ["channels_first", "channels_last"],
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case: str, keras_3: Path) -> None:
    path = keras_3 / f"refused-{case}.keras"
    with pytest.raises(ModelError) as caught:
        sources.load(path)
    for word in [*REFUSED[case], path.name]:
        assert word in str(caught.value)


def test_lambda_of_keras_2_never_runs(tmp_path: Path) -> None:
    keras, place = frameworks.keras(), tmp_path / "ran"
    code = f"lambda x: (__import__('pathlib').Path({str(place)!r}).touch(), x)[1]"
    source = keras.Input((4,))
    keras.Model(source, keras.layers.Dense(2)(keras.layers.Lambda(eval(code))(source))).save(tmp_path / "l.h5", save_format="h5")
    place.unlink()
    with pytest.raises(ModelError, match="runs Python code"):
        sources.load(tmp_path / "l.h5")
    assert not place.exists()


def rewritten(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Damages config.json in a .keras file."""

    def damage(path: Path) -> None:
        config = json.loads(members(path)["config.json"])
        replaced = change(config)
        pack(path, {"config.json": json.dumps(config if replaced is None else replaced).encode()})

    return damage


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, changed: dict[str, bytes | None]) -> None:
    content = {**members(path), **changed}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in content.items():
            if value is not None:
                archive.writestr(name, value)


def in_weights(change: Callable[[h5py.File], Any]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        file = io.BytesIO(members(path)["model.weights.h5"])
        with h5py.File(file, "r+") as weights:
            change(weights)
        pack(path, {"model.weights.h5": file.getvalue()})

    return damage


def setting(number: int, key: str, value: Any) -> Callable[[Path], None]:
    return rewritten(lambda config: config["config"]["layers"][number]["config"].__setitem__(key, value))


def replaced(weights: h5py.File, path: str, value: Any) -> None:
    del weights[path]
    weights[path] = value


def huge(weights: h5py.File) -> None:
    del weights["layers/dense/vars/0"]
    weights.create_dataset("layers/dense/vars/0", (1 << 20, 1 << 20), "f4", chunks=(1024, 1024), compression="gzip")


def outside(weights: h5py.File) -> None:
    del weights["layers/dense/vars/1"]
    weights.create_dataset("layers/dense/vars/1", (3,), "f4", external=[("/etc/hostname", 0, 12)])


KERNEL = "layers/dense/vars/0"
DAMAGED: dict[str, tuple[Callable[[Path], Any], list[str]]] = {  # id: (damage to sequential.keras, words)
    "empty": (lambda p: p.write_bytes(b""), ["neither", "0 bytes"]),
    "text": (lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\n"), ["neither", "Git LFS"]),
    "cut-short": (lambda p: p.write_bytes(p.read_bytes()[:2000]), ["cannot be read"]),
    "no-config": (lambda p: pack(p, {"config.json": None}), ["no config.json", "metadata.json, model.weights.h5"]),
    "no-weights": (lambda p: pack(p, {"model.weights.h5": None}), ["no model.weights.h5"]),
    "not-json": (lambda p: pack(p, {"config.json": b"{"}), ["does not describe"]),
    "deep-json": (lambda p: pack(p, {"config.json": b"[" * 200_000}), ["does not describe"]),
    "list-json": (rewritten(lambda config: []), ["does not describe"]),
    "layers-text": (rewritten(lambda config: config["config"].__setitem__("layers", "abc")), ["does not describe"]),
    "no-layers": (rewritten(lambda config: config["config"].__setitem__("layers", [])), ["does not describe", "0 layers"]),
    "config-bomb": (lambda p: pack(p, {"config.json": bytes(1 << 26)}), ["config.json has more than 33,554,432 bytes"]),
    "not-hdf5": (lambda p: pack(p, {"model.weights.h5": b"weights"}), ["cannot be read"]),
    "hdf5-cut": (lambda p: pack(p, {"model.weights.h5": members(p)["model.weights.h5"][:3000]}), ["cannot be read"]),
    "weights-missing": (in_weights(lambda w: w.__delitem__("layers/dense")), ["'dense", "(Dense)", "do not fit", "[]"]),
    "bias-missing": (in_weights(lambda w: w.__delitem__("layers/dense/vars/1")), ["(Dense)", "shapes"]),
    "weights-transposed": (in_weights(lambda w: replaced(w, KERNEL, w[KERNEL][()].T)), ["(Dense)", "(3, 32)", "(32, 3)"]),
    "weights-nan": (in_weights(lambda w: replaced(w, KERNEL, np.full((32, 3), np.nan))), ["(Dense)", "NaN"]),
    "weights-text": (in_weights(lambda w: replaced(w, KERNEL, "abc")), ["(Dense)", "no array"]),
    "weights-huge": (in_weights(huge), ["(Dense)", "268,435,456"]),
    "weights-elsewhere": (in_weights(outside), ["(Dense)", "no array"]),
    "weights-linked": (
        in_weights(lambda w: replaced(w, KERNEL, h5py.ExternalLink("/etc/other.h5", "x"))), ["(Dense)", "link to another place"],
    ),
    "units": (setting(-1, "units", 10**12), ["(Dense)", "units 1000000000000"]),
    "kernel-size": (setting(2, "kernel_size", [10**6, 10**6]), ["(Conv2D)", "kernel_size [1000000, 1000000]"]),
    "reshape": (setting(1, "target_shape", [7, 7, 1]), ["(Reshape)", "cannot be rebuilt"]),
    "own-settings": (setting(-1, "secret", 3), ["(Dense)", "secret=3"]),
    "own-initializer-is-never-made": (setting(-1, "kernel_initializer", {"module": "os", "class_name": "system"}), []),
    "own-regularizer": (
        setting(-1, "kernel_regularizer", {"module": "os", "class_name": "system", "config": {}}), ["kernel_regularizer"],
    ),
    "own-activation": (setting(-1, "activation", {"module": "os", "class_name": "function", "config": "x"}), ["activation"]),
    "own-module": (rewritten(lambda c: c["config"]["layers"][-1].update(module="os")), ["(Dense)", "class of your own"]),
    "input-huge": (setting(0, "batch_shape", [None, 10**9, 10**9]), ["1000000000"]),
    "input-type": (setting(0, "dtype", "uint8"), ["(InputLayer)", "uint8"]),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged(case: str, keras_3: Path, tmp_path: Path) -> None:
    path, (damage, words) = tmp_path / "damaged.keras", DAMAGED[case]
    path.write_bytes((keras_3 / "sequential.keras").read_bytes())
    damage(path)
    if not words:
        sources.load(path)
        return
    with pytest.raises(ModelError) as caught:
        sources.load(path)
    for word in [*words, "damaged.keras"]:
        assert word in str(caught.value)


def test_graph_without_way_to_its_output(keras_3: Path, tmp_path: Path) -> None:
    path = tmp_path / "loop.keras"
    path.write_bytes((keras_3 / "shared.keras").read_bytes())

    def loop(config: dict[str, Any]) -> None:
        layers = {layer["class_name"]: layer for layer in config["config"]["layers"]}
        tensor = layers["Conv2D"]["inbound_nodes"][0]["args"][0]
        tensor["config"]["keras_history"] = [layers["Conv2D"]["name"], 1, 0]

    rewritten(loop)(path)
    with pytest.raises(ModelError, match="nothing leads from its input"):
        sources.load(path)


def test_weights_alone_and_folders(keras_3: Path, tmp_path: Path) -> None:
    (tmp_path / "w.h5").write_bytes(members(keras_3 / "sequential.keras")["model.weights.h5"])
    with pytest.raises(ModelError, match=r"(?s)w\.h5 holds weights.*model_config"):
        sources.load(tmp_path / "w.h5")
    with pytest.raises(ModelError, match="no SavedModel"):
        sources.load(tmp_path)
    tf = frameworks.tensorflow()
    tf.saved_model.save(tf.Module(), str(tmp_path / "exported"))
    with pytest.raises(ModelError, match=r"(?s)without Keras's description.*model\.save"):
        sources.load(tmp_path / "exported")


SAVED_MODEL_DAMAGE: dict[str, Callable[[Path], Any]] = {
    "metadata": lambda p: (p / "keras_metadata.pb").write_bytes(b"\xff\xff"),
    "metadata-empty": lambda p: (p / "keras_metadata.pb").write_bytes(b""),
    "no-variables": lambda p: (p / "variables" / "variables.index").unlink(),
    "variables-cut": lambda p: (p / "variables" / "variables.data-00000-of-00001").write_bytes(b"1234"),
}


@pytest.mark.parametrize("case", SAVED_MODEL_DAMAGE)
def test_damaged_saved_model(case: str, tmp_path: Path) -> None:
    keras_models.write(frameworks.keras(), "dense-on-image", tmp_path, "")
    SAVED_MODEL_DAMAGE[case](tmp_path / "dense-on-image")
    with pytest.raises(ModelError, match="dense-on-image"):
        sources.load(tmp_path / "dense-on-image")


def test_tflite_and_missing_file(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"TFL3")
    with pytest.raises(RequestError, match=r"(?s)m\.tflite.*starts from a Keras model"):
        sources.load(tmp_path / "m.tflite")
    with pytest.raises(RequestError, match=r"no model .*gone\.keras"):
        sources.load(tmp_path / "gone.keras")


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "m.h5").write_bytes(b"abc")
    assert sources.sha256(tmp_path / "m.h5").startswith("ba7816bf")
    folder = tmp_path / "folder"
    (folder / "variables").mkdir(parents=True)
    (folder / "variables" / "a").write_bytes(b"1")
    first = sources.sha256(folder)
    (folder / "variables" / "a").rename(folder / "variables" / "b")
    assert sources.sha256(folder) != first
    with pytest.raises(RequestError, match="gone"):
        sources.sha256(tmp_path / "gone")
