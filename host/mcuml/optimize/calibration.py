"""Calibration: which training samples stand for the data, and the range of values that each activation's int8 codes cover."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from mcuml.errors import CheckError, RequestError
from mcuml.optimize import frameworks
from mcuml.optimize.data import Split
from mcuml.optimize.silence import silence
from mcuml.optimize.slim import pack, unpack

FEWEST = 10  # samples; fewer say nothing about a layer's range
BINS = 4096
NOTHING = 1e-30  # a range below is none: TensorFlow's calibrator writes 1.2e-38 where all values are 0
STEP = 16  # bins between two ranges that the entropy method compares


def representative(train: Split, classes: int, count: int, seed: int) -> np.ndarray:
    """`count` samples of the training data, float32 (n, *input shape), drawn with `seed`, of each class as many as of any
    other as far as it has them; all samples where there are not so many. Raises RequestError for fewer than FEWEST or than
    there are classes."""
    least = max(FEWEST, classes)
    if count < least:
        raise RequestError(
            f"ptq: {count} samples are too few to measure ranges for {classes} classes.", "", f"Set samples to {least} or more."
        )
    if len(train) < least:
        raise RequestError(
            f"ptq: the training data has {len(train)} samples, too few to measure ranges for {classes} classes.",
            "",
            f"Give {least} training samples or more.",
        )
    order = np.random.default_rng(seed).permutation(len(train))
    labels = train.y[order]
    place = np.empty(len(train), np.int64)  # of a sample among those of its class
    for label in np.unique(labels):
        place[labels == label] = np.arange(np.count_nonzero(labels == label))
    return train.x[order[np.argsort(place, kind="stable")[:count]]]


def check(file: bytes) -> None:
    """Raise CheckError when a calibrated file's input or output was 0 in all samples: no scale can be made of that."""
    graph = unpack(file).subgraphs[0]
    for what, tensors in (("input", graph.inputs), ("output", graph.outputs)):
        for t in tensors:
            measured = graph.tensors[t].quantization
            if measured is not None and measured.min is not None and max(*-measured.min, *measured.max) < NOTHING:
                raise CheckError(
                    f"ptq: the model's {what} is 0 in all samples, which gives no range to quantize.",
                    "",
                    "Look at the scaling of the data." if what == "input" else "Train the model first: its last layers are dead.",
                )


def activations(file: bytes, samples: np.ndarray) -> Iterator[dict[int, np.ndarray]]:
    """The values of every tensor that an operator writes, and of the inputs, sample by sample: tensor number -> float32."""
    tf = frameworks.tensorflow()
    with silence(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow's advice to take a later version's interpreter
        interpreter = frameworks.lite("python.interpreter").Interpreter(
            model_content=file,
            experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        interpreter.allocate_tensors()
    graph = unpack(file).subgraphs[0]
    wanted = sorted({*map(int, graph.inputs), *(int(t) for op in graph.operators for t in op.outputs)})
    for sample in samples:
        interpreter.set_tensor(int(graph.inputs[0]), sample[None])
        interpreter.invoke()
        yield {t: interpreter.get_tensor(t) for t in wanted}


def with_ranges(file: bytes, samples: np.ndarray, method: str, percentile: float) -> bytes:
    """The calibrated float file with the ranges of `method`, "percentile" or "entropy", in place of least and greatest."""
    model = unpack(file)
    graph = model.subgraphs[0]
    measured = {
        t: (float(tensor.quantization.min[0]), float(tensor.quantization.max[0]))
        for t, tensor in enumerate(graph.tensors)
        if tensor.quantization is not None and tensor.quantization.min is not None and len(tensor.quantization.min) == 1
    }
    counts = {t: np.zeros(BINS, np.int64) for t, (least, greatest) in measured.items() if greatest - least > NOTHING}
    spans = {t: (0.0, max(map(abs, measured[t]))) if method == "entropy" else measured[t] for t in counts}
    for values in activations(file, samples):
        for t in counts.keys() & values.keys():
            found = np.abs(values[t][values[t] != 0]) if method == "entropy" else values[t]
            counts[t] += np.histogram(found, BINS, spans[t])[0]
    ranges = {t: by_entropy(c, measured[t]) if method == "entropy" else by_percentile(c, measured[t], percentile)
              for t, c in counts.items() if c.any()}  # fmt: skip
    for t, (least, greatest) in ranges.items():
        quantization = graph.tensors[t].quantization
        quantization.min, quantization.max = np.array([least], np.float32), np.array([greatest], np.float32)
    return pack(model)


def by_percentile(counts: np.ndarray, span: tuple[float, float], percentile: float) -> tuple[float, float]:
    """The range around 0 outside of which, on each side, at most half of 100 - percentile per cent of the values lie.
    `counts`: of the values in equal bins over `span`."""
    edges = np.linspace(*span, len(counts) + 1)
    share = np.concatenate([[0], np.cumsum(counts)]) / counts.sum()
    outside = (100 - percentile) / 200
    least = edges[np.searchsorted(share, outside, side="right") - 1]
    greatest = edges[np.searchsorted(share, 1 - outside, side="left")]
    return min(float(least), 0.0), max(float(greatest), 0.0)


def by_entropy(counts: np.ndarray, span: tuple[float, float]) -> tuple[float, float]:
    """The range [-t, t], cut to `span`, in which the quantized values tell most of the distribution: the t with the least
    Kullback-Leibler divergence sum(p log(p / q)), p being the histogram with all that is beyond t in its last bin, and q the
    same without what is beyond, each code's bins levelled out (Migacz, 8-bit Inference with TensorRT, 2017).

    `counts`: of the magnitudes above 0 (0 is always exact) in equal bins from 0 to the greatest magnitude of `span`."""
    levels = 127 if span[0] < 0 < span[1] else 255
    best, at = np.inf, len(counts)
    for end in range(len(counts), levels - 1, -STEP):
        divergence = _divergence(counts, end, levels)
        if divergence < best:
            best, at = divergence, end
    limit = at / len(counts) * max(map(abs, span))
    return max(min(span[0], 0.0), -limit), min(max(span[1], 0.0), limit)


def _divergence(counts: np.ndarray, end: int, levels: int) -> float:
    inside = counts[:end].astype(float)
    if not inside.any():
        return np.inf
    p = inside.copy()
    p[-1] += counts[end:].sum()
    code = np.arange(end) * levels // end
    filled = np.bincount(code, inside > 0, levels)
    level = np.bincount(code, inside, levels) / np.maximum(filled, 1)
    q = np.where(inside > 0, level[code], 0)
    p, q = p / p.sum(), q / q.sum()
    there = p > 0
    return float(np.sum(p[there] * np.log(p[there] / np.maximum(q[there], 1e-9))))
