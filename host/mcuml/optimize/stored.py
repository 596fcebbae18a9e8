"""The weights in a model file, layer by layer: of .keras, of .h5 and of SavedModel, read as untrusted input."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np

from mcuml.optimize import frameworks
from mcuml.optimize.layers import Impossible, Stored
from mcuml.optimize.rebuild import Chain, layers_of

MOST_BYTES = 1 << 28  # of all weights together: no microcontroller holds a tenth of it
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
ORDER = (  # of a layer's weights in tf_keras; a SavedModel knows them by name only
    "depthwise_kernel", "pointwise_kernel", "kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance", "alpha",
)  # fmt: skip


class Hdf5:
    """An open HDF5 file whose links lead nowhere else and whose arrays fit into memory."""

    def __init__(self, file: h5py.File):
        self.file, self.bytes = file, 0

    def find(self, path: Sequence[str]) -> Any:
        """The group or array, or None. Raises Impossible for a link that leads out of the file."""
        place: Any = self.file
        for part in path:
            link = place.get(part, getlink=True) if isinstance(place, h5py.Group) else None
            if link is None:
                return None
            if not isinstance(link, h5py.HardLink):
                raise Impossible(f"the file's entry {'/'.join(path)} is a link to another place")
            place = place[part]
        return place

    def array(self, path: Sequence[str]) -> np.ndarray:
        data = self.find(path)
        if not isinstance(data, h5py.Dataset) or data.is_virtual or data.external or data.dtype.kind not in "fiu":
            raise Impossible(f"the file holds no array {'/'.join(path)}")
        self.bytes += data.nbytes
        if self.bytes > MOST_BYTES:
            raise Impossible(f"with it the weights take {self.bytes:,} bytes; the most is {MOST_BYTES:,}")
        return np.asarray(data[()])


class KerasWeights:
    """Of the model.weights.h5 in a .keras file: groups named by class and count."""

    def __init__(self, file: h5py.File):
        self.hdf5 = Hdf5(file)

    def __call__(self, chain: Chain) -> list[np.ndarray]:
        path: list[str] = []
        for model, layer in itertools.pairwise(chain):
            container = next((c for c in ("layers", "_layer_checkpoint_dependencies") if self.hdf5.find([*path, c])), "layers")
            path += [container, _keys(model)[layer.label]]
        group = self.hdf5.find([*path, "vars"])
        return [] if group is None else [self.hdf5.array([*path, "vars", str(i)]) for i in range(len(group))]


class Hdf5Weights:
    """Of a .h5 file: groups named by layer, with a list of names in the order of get_weights()."""

    def __init__(self, file: h5py.File):
        self.hdf5 = Hdf5(file)
        self.root = ["model_weights"] if "model_weights" in file else []

    def __call__(self, chain: Chain) -> list[np.ndarray]:
        path = [*self.root, chain[1].label]
        group = self.hdf5.find(path)
        if group is None:
            return []
        names = [n.decode() if isinstance(n, bytes) else str(n) for n in _attribute(group, "weight_names")]
        if len(chain) > 2:  # a model's weights stand in one list: NAME/kernel:0
            names = [n for n in names if n.split("/")[-2:-1] == [chain[-1].label]]
        return [self.hdf5.array([*path, *name.split("/")]) for name in names]


class CheckpointWeights:
    """Of a SavedModel's variables, found by walking its graph of objects from layer to layer."""

    def __init__(self, prefix: str):
        from tensorflow.core.protobuf import trackable_object_graph_pb2

        self.reader = frameworks.tensorflow().train.load_checkpoint(prefix)
        self.nodes = trackable_object_graph_pb2.TrackableObjectGraph.FromString(self.reader.get_tensor(GRAPH)).nodes
        self.shapes = self.reader.get_variable_to_shape_map()
        self.bytes = 0

    def __call__(self, chain: Chain) -> list[np.ndarray]:
        node = self.nodes[0]
        for model, layer in itertools.pairwise(chain):
            named = [x for x in layers_of(model) if model.class_name != "Sequential" or x.class_name != "InputLayer"]
            number = [x.label for x in named].index(layer.label)
            node = self._child(node, f"layer-{number}")
        return [self._array(a.checkpoint_key) for name in ORDER for a in getattr(self._child(node, name), "attributes", ())]

    def _child(self, node: Any, name: str) -> Any:
        return next((self.nodes[c.node_id] for c in getattr(node, "children", ()) if c.local_name == name), None)

    def _array(self, key: str) -> np.ndarray:
        self.bytes += 4 * int(np.prod(self.shapes[key], dtype=float))
        if self.bytes > MOST_BYTES:
            raise Impossible(f"with it the weights take {self.bytes:,} bytes; the most is {MOST_BYTES:,}")
        return np.asarray(self.reader.get_tensor(key))


def _attribute(group: Any, name: str) -> list[Any]:
    """Long lists are stored in parts: name0, name1, ..."""
    if name in group.attrs:
        return list(group.attrs[name])
    parts: list[Any] = []
    while f"{name}{len(parts)}" in group.attrs:
        parts.append(group.attrs[f"{name}{len(parts)}"])
    return [item for part in parts for item in part]


def _keys(model: Stored) -> dict[str, str]:
    """Layer -> its group: the class in snake case, and a count where there are several. Keras 3 counts no calculations."""
    keys, used = {}, dict[str, int]()
    for layer in layers_of(model):
        if layer.operation is None or layer.class_name == "TFOpLambda":
            name = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", layer.class_name)).lower()
            used[name] = used.get(name, -1) + 1
            keys[layer.label] = f"{name}_{used[name]}" if used[name] else name
    return keys
