"""Which of a tf_keras layer's weights, along which axes, belong to its output and to its input channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mcuml.optimize import frameworks


@dataclass(frozen=True)
class Side:
    """`weight`: index into get_weights(). `axes`: of that array, which together count the channels, the last one fastest."""

    weight: int
    axes: tuple[int, ...]

    def shape(self, array: np.ndarray) -> tuple[int, ...]:
        """The shape in which one number per channel broadcasts over `array`."""
        own = {axis % array.ndim for axis in self.axes}
        return tuple(size if axis in own else 1 for axis, size in enumerate(array.shape))

    def ranges(self, array: np.ndarray) -> np.ndarray:
        """The largest magnitude in each channel of `array`: (channels,)."""
        others = tuple(axis for axis, size in enumerate(self.shape(array)) if size == 1)
        return np.abs(array).max(axis=others).ravel()

    def times(self, array: np.ndarray, factors: np.ndarray) -> np.ndarray:
        """`array` with each channel multiplied by its factor, in its own type."""
        return (array * factors.reshape(self.shape(array))).astype(array.dtype)


@dataclass(frozen=True)
class Sides:
    """A layer's channels. A bias, where it has one, is its last weight."""

    outputs: Side
    inputs: Side


_PLAIN = Sides(Side(0, (-1,)), Side(0, (-2,)))
_LAYOUTS = {
    "Dense": _PLAIN,
    "Conv1D": _PLAIN,
    "Conv2D": _PLAIN,
    "Conv2DTranspose": Sides(Side(0, (-2,)), Side(0, (-1,))),
    "DepthwiseConv2D": Sides(Side(0, (-2, -1)), Side(0, (-2,))),
    "SeparableConv2D": Sides(Side(1, (-1,)), Side(0, (-2,))),
}


def sides(layer: Any) -> Sides | None:
    """The channels of a dense or convolutional layer with its channels last; None for any other layer."""
    kind = type(layer).__name__
    if kind not in _LAYOUTS or type(layer) is not getattr(frameworks.keras().layers, kind):
        return None
    return _LAYOUTS[kind] if getattr(layer, "data_format", "channels_last") == "channels_last" else None
