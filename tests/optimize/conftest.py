"""Keras 2 for all tests of optimize/: the choice is made when TensorFlow is imported, whoever does so first."""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
