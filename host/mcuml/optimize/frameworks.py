"""The door to TensorFlow: the only place that imports it, quietly, with Keras 2, or says in a sentence how to get it."""

from __future__ import annotations

import importlib
import os
import sys
from functools import cache
from typing import Any

from mcuml.errors import RequestError
from mcuml.optimize.silence import silence

EXTRA = "pip install 'mcuml[optimize]'"


@cache
def tensorflow() -> Any:
    """The module tensorflow, with Keras 2 (tf_keras) as its Keras. Raises RequestError where it is missing or came first
    with Keras 3: the choice is made at import."""
    if "tensorflow" in sys.modules and os.environ.get("TF_USE_LEGACY_KERAS") != "1":
        raise RequestError(
            "TensorFlow was imported before mcuml.optimize, with Keras 3.",
            "",
            "Import mcuml.optimize first, or set TF_USE_LEGACY_KERAS=1.",
        )
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # off by default on some CPUs, where training then takes 3 times as long
    try:
        with silence():  # its CUDA plug-ins log before TF_CPP_MIN_LOG_LEVEL is read
            import tensorflow as tf
    except ImportError as error:
        raise missing("TensorFlow", error) from error
    tf.get_logger().setLevel("ERROR")
    return tf


@cache
def keras() -> Any:
    """The module tf_keras. Raises RequestError where it is missing."""
    tensorflow()
    try:
        import tf_keras
    except ImportError as error:
        raise missing("tf_keras", error) from error
    return tf_keras


@cache
def tfmot() -> Any:
    """The module tensorflow_model_optimization. Raises RequestError where it is missing."""
    tensorflow()
    try:
        import tensorflow_model_optimization
    except ImportError as error:
        raise missing("tensorflow_model_optimization", error) from error
    return tensorflow_model_optimization


@cache
def lite(name: str) -> Any:
    """The module tensorflow.lite.NAME: parts of the converter and of the file format that tf.lite does not show."""
    tensorflow()
    return importlib.import_module(f"tensorflow.lite.{name}")


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and TensorFlow's generators, and take TensorFlow's deterministic kernels."""
    keras().utils.set_random_seed(seed)
    tensorflow().config.experimental.enable_op_determinism()


def limit_threads(count: int) -> None:
    """Let one operation of TensorFlow use `count` threads: so many that all worker processes together fill the cores."""
    tensorflow().config.threading.set_intra_op_parallelism_threads(count)
    tensorflow().config.threading.set_inter_op_parallelism_threads(1)


def missing(name: str, error: ImportError) -> RequestError:
    """The error that says how to install what `name` is part of."""
    return RequestError(
        f"mcuml optimize needs {name}, which is not installed.", str(error), f"Install it with: {EXTRA} (on Python 3.10 to 3.12)."
    )
