"""SignalWindow, SignalFftAutoScale, SignalRfft, SignalIrfft, SignalEnergy."""

import numpy as np
import pytest

from mcuml.errors import ModelError
from mcuml.ops.signal_fft import TYPES
from modelmaker import const, custom, model, op, tensor
from ops.harness import compare, lowered

CASES = [
    *(("SignalWindow", "int16", (1, 480), shift) for shift in (0, 12, 15, 31)),
    ("SignalWindow", "int16", (3, 2, 7), 9),
    *(("SignalFftAutoScale", "int16", (size,), top) for size, top in ((480, 32767), (5, 3), (1, 0), (64, 511), (33, 16384))),
    *(("SignalEnergy", "int16", (2 * size,), 0) for size in (1, 257)),
    *(
        (name, dtype, (*rows, length), short)
        for name in ("SignalRfft", "SignalIrfft")
        for dtype in ("int16", "int32", "float32")
        for rows, length, short in (((), 4, 0), ((), 8, 3), ((2,), 16, 0), ((2, 3), 64, 5), ((), 128, 0), ((1,), 512, 32))
    ),
    *(  # with stages of 3 and 5
        (name, dtype, (*rows, length), short)
        for name in ("SignalRfft", "SignalIrfft")
        for dtype in ("int16", "int32", "float32")
        for rows, length, short in (
            ((), 6, 1),
            ((), 10, 0),
            ((2,), 12, 3),
            ((), 18, 0),
            ((), 50, 1),
            ((), 120, 0),
            ((2,), 400, 7),
            ((), 480, 0),
        )
    ),
]


def make(rng, name, dtype, shape, detail):
    x = tensor("x", dtype, shape)
    if name == "SignalWindow":
        window = const("w", rng.integers(-32768, 32768, shape[-1]).astype(np.int16))
        y = tensor("y", dtype, shape)
        return model([custom(name, [x, window], [y], shift=detail)], [x], [y])
    if name == "SignalFftAutoScale":
        small = tensor("small", "int16", shape)  # as loud as the window
        window = const("w", rng.integers(-detail, detail + 1, shape).astype(np.int16))
        y, bits = tensor("y", "int16", shape), tensor("bits", "int32", ())
        return model([custom("SignalWindow", [x, window], [small], shift=15), custom(name, [small], [y, bits])], [x], [y, bits])
    if name == "SignalEnergy":
        y = tensor("y", "uint32", (shape[0] // 2,))
        return model([custom(name, [x], [y], start_index=0, end_index=shape[0] // 2)], [x], [y])
    *rows, length = shape
    ends = ((*rows, length - detail), (*rows, length + 2)) if name == "SignalRfft" else ((*rows, length + 2), (*rows, length))
    x, y = tensor("x", dtype, ends[0]), tensor("y", dtype, ends[1])
    transform = custom(name, [x], [y], T=TYPES[dtype], fft_length=length)
    if dtype != "int32":
        return model([transform], [x], [y])
    loud = transform.inputs[0] = tensor("loud", dtype, ends[0])  # the harness has int32 inputs of 16 bits
    return model([op("MUL", [x, const("k", np.int32(65535))], [loud]), transform], [x], [y])


test_matches_tflite_micro = compare(CASES, make, exact=True)


@pytest.mark.parametrize(
    "name, dtype, shape, options, message",
    [
        ("SignalWindow", "int16", (8,), dict(shift=32), "its shift 32"),
        ("SignalWindow", "int16", (8,), dict(shift=-1), "its shift -1"),
        ("SignalWindow", "int16", (8,), dict(shift=1 << 40), "32 bits"),
        ("SignalWindow", "int16", (8,), dict(drift=1), "its options are"),
        ("SignalWindow", "int8", (8,), dict(shift=1), "must be int16"),
        ("SignalEnergy", "int16", (8,), dict(start_index=0, end_index=5), "not inside"),
        ("SignalRfft", "int16", (8,), dict(T=2, fft_length=8), "option T"),
        ("SignalRfft", "int16", (6,), dict(T=7, fft_length=7), "even number"),
        ("SignalRfft", "int16", (14,), dict(T=7, fft_length=14), "factor 7"),
        ("SignalIrfft", "int16", (44,), dict(T=7, fft_length=44), "factor 11"),
        ("SignalRfft", "int16", (2,), dict(T=7, fft_length=2), "even number"),
        ("SignalRfft", "int16", (10,), dict(T=7, fft_length=8), "rows"),
        ("SignalIrfft", "int16", (8,), dict(T=7, fft_length=8), "rows"),
        ("SignalFftAutoScale", "int16", (2, 4), {}, "of rank 1"),
    ],
)
def test_refuses(name, dtype, shape, options, message):
    x, rank = tensor("x", dtype, shape), shape[:-1]
    outputs = {"SignalEnergy": [tensor("y", "uint32", (4,))], "SignalRfft": [tensor("y", dtype, (*rank, 10))]}
    inputs = [x, const("w", np.ones(8, np.int16))] if name == "SignalWindow" else [x]
    outputs["SignalFftAutoScale"] = [tensor("y", dtype, shape), tensor("bits", "int32", ())]
    data = model([custom(name, inputs, outputs.get(name, [tensor("y", dtype, shape)]), **options)], [x], [x])
    with pytest.raises(ModelError, match=message):
        lowered(data)
