"""SPACE_TO_DEPTH, SPACE_TO_BATCH_ND, their opposites and REVERSE_V2 against TFLite Micro: block sizes, margins, batches."""

import numpy as np

from mcuml import reference
from modelmaker import const, model, op, tensor
from ops.builds import Host
from ops.harness import Case, compare

QUANT = {"int8": (0.1, 3), "int16": (0.001, 0), "uint8": (0.1, 7)}

DEPTHS = [  # (operator, type, shape, block)
    (code, dtype, (n, h * across, w * across, c * inside), block)
    for dtype in ("int8", "float32")
    for n, h, w, c, block in ((1, 2, 3, 4, 2), (2, 1, 2, 1, 3), (1, 3, 2, 5, 2), (3, 2, 2, 2, 1), (1, 1, 1, 3, 4))
    for code, across, inside in (("SPACE_TO_DEPTH", block, 1), ("DEPTH_TO_SPACE", 1, block * block))
]


def make_depth(rng, code, dtype, shape, block):
    quant = QUANT.get(dtype, ())
    n, h, w, c = shape
    x = tensor("x", dtype, shape, *quant)
    forth = code == "SPACE_TO_DEPTH"
    out = (n, h // block, w // block, c * block * block) if forth else (n, h * block, w * block, c // (block * block))
    y = tensor("y", dtype, out, *quant)
    return model([op(code, [x], [y], block_size=block)], [x], [y])


test_depth_matches_tflite_micro = compare(DEPTHS, make_depth, exact=True)

BATCHES = [  # (operator, type, shape, block, margins)
    ("SPACE_TO_BATCH_ND", "int8", (1, 4, 6, 3), (2, 2), ((0, 0), (0, 0))),
    ("SPACE_TO_BATCH_ND", "int8", (2, 4, 6, 1), (2, 3), ((0, 0), (0, 0))),
    ("SPACE_TO_BATCH_ND", "int8", (3, 5, 2), (5,), ((0, 0),)),
    ("SPACE_TO_BATCH_ND", "float32", (1, 4, 6, 3), (4, 1), ((0, 0), (0, 0))),
    ("SPACE_TO_BATCH_ND", "float32", (2, 6, 2), (2,), ((0, 0),)),
    ("SPACE_TO_BATCH_ND", "int8", (2, 6, 2, 4), (1, 1), ((0, 0), (0, 0))),
    ("BATCH_TO_SPACE_ND", "int8", (4, 2, 3, 3), (2, 2), ((0, 0), (0, 0))),
    ("BATCH_TO_SPACE_ND", "int8", (4, 2, 3, 3), (2, 2), ((1, 0), (0, 2))),
    ("BATCH_TO_SPACE_ND", "int8", (12, 2, 2, 1), (2, 3), ((1, 1), (2, 1))),
    ("BATCH_TO_SPACE_ND", "int8", (6, 3, 2), (3,), ((2, 1),)),
    ("BATCH_TO_SPACE_ND", "float32", (6, 3, 2), (2,), ((0, 0),)),
    ("BATCH_TO_SPACE_ND", "float32", (9, 2, 2, 4), (3, 3), ((0, 1), (1, 0))),
]


def batch_op(code, dtype, shape, block, margins, name="x"):
    quant = QUANT.get(dtype, ())
    x = tensor(name, dtype, shape, *quant)
    count, forth = int(np.prod(block)), code == "SPACE_TO_BATCH_ND"
    spatial = [(n + a + b) // k if forth else n * k - a - b for n, k, (a, b) in zip(shape[1:-1], block, margins, strict=True)]
    y = tensor(f"{name}_moved", dtype, (shape[0] * count if forth else shape[0] // count, *spatial, shape[-1]), *quant)
    inputs = [x, const("block", np.array(block, np.int32)), const("margins", np.array(margins, np.int32))]
    return op(code, inputs, [y])


def make_batch(rng, *case):
    node = batch_op(*case)
    return model([node], node.inputs[:1], node.outputs)


test_batch_matches_tflite_micro = compare(BATCHES, make_batch, exact=True)

PADDED = [  # (type, shape, block, paddings)
    ("int8", (1, 3, 3, 2), (2, 2), ((1, 0), (0, 1))),
    ("int8", (2, 7, 3), (4,), ((0, 1),)),
    ("float32", (2, 5, 4, 3), (3, 2), ((1, 3), (2, 0))),
    ("int8", (3, 2, 2, 1), (2, 3), ((0, 2), (4, 0))),
]


def test_padded_batches_match_litert():
    """TFLite Micro pads with a byte that it never sets."""
    nodes = [batch_op("SPACE_TO_BATCH_ND", *case, name=f"x{n}") for n, case in enumerate(PADDED)]
    inputs, outputs = [n.inputs[0] for n in nodes], [n.outputs[0] for n in nodes]
    case = Case(model(nodes, inputs, outputs))
    answer = reference.ask(case.data, case.inputs)
    assert answer.oracle.startswith("LiteRT")
    host = Host([case])
    for number, (sample, wanted) in enumerate(zip(case.inputs, answer.samples, strict=True)):
        for raw, want in zip(host.run(case, sample, number), wanted, strict=True):
            assert np.array_equal(np.frombuffer(raw, want.dtype).reshape(want.shape), want)


REVERSES = [  # (type, shape, axes)
    ("int8", (7,), (0,)),
    ("int8", (3, 4), (0,)),
    ("int8", (3, 4), (1,)),
    ("int8", (3, 4), (-1, 0)),
    ("int8", (2, 3, 4), (1,)),
    ("float32", (2, 3, 4), (1, 2)),
    ("float32", (2, 3, 4, 5), (-3, 2)),
    ("int32", (2, 3, 4), (0, 1)),
    ("int16", (5, 2), (-2,)),
    ("int64", (5, 2), (0, 1)),
    ("uint8", (5, 3), (1,)),
    ("bool", (5, 3), (0,)),
]


def make_reverse(rng, dtype, shape, axes):
    quant = QUANT.get(dtype, ())
    x, y = tensor("x", dtype, shape, *quant), tensor("y", dtype, shape, *quant)
    return model([op("REVERSE_V2", [x, const("axes", np.array(axes, np.int32))], [y])], [x], [y])


test_reverse_matches_tflite_micro = compare(REVERSES, make_reverse, exact=True)
