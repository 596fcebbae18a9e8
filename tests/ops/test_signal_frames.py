"""SignalFramer, SignalStacker, SignalDelay, SignalOverlapAdd over several invocations."""

import numpy as np
import pytest

from mcuml import reference
from mcuml.errors import ModelError
from mcuml.ops.signal_fft import TYPES
from modelmaker import const, custom, model, op, tensor
from ops.builds import Host
from ops.harness import Case, compare, lowered

CASES = [
    *(
        ("framer", shape, size, step, prefill)
        for shape, size, step in (((320,), 400, 160), ((160,), 480, 160), ((2, 8), 7, 2), ((2, 3, 4), 4, 4), ((6,), 1, 1))
        for prefill in (False, True)
    ),
    ("framer", (6,), 2, 3, False),
    ("framer", (5,), 17, 5, False),
    *(
        ("stacker", channels, left, right, step)
        for channels in (1, 40)
        for left, right, step in ((0, 0, 1), (1, 1, 2), (0, 3, 1), (3, 0, 4), (2, 1, 3))
    ),
    *(("delay", shape, delay) for shape in ((8,), (2, 3, 5)) for delay in (1, 5, 8, 9, 23)),
    *(
        ("overlap", dtype, shape, step)
        for dtype in ("int16", "float32")
        for shape, step in (((1, 8), 8), ((3, 10), 4), ((2, 2, 7), 1), ((2, 1, 2, 5), 3))
    ),
]  # fmt: skip
SAMPLES = ("random", "ramp", "random", "high", "low", "low", "random")


def build(name, *details):
    """(input, operators, outputs) of one operator. A frame that is not valid yet is anything, so it is replaced by zeros."""
    if name in ("framer", "stacker"):
        if name == "framer":
            shape, size, step, prefill = details
            x, y = tensor("x", "int16", shape), tensor("y", "int16", (*shape[:-1], shape[-1] // step, size))
            options = dict(frame_size=size, frame_step=step, prefill=prefill)
        else:
            channels, left, right, step = details
            x, y = tensor("x", "int16", (channels,)), tensor("y", "int16", (channels * (left + 1 + right),))
            options = dict(num_channels=channels, stacker_left_context=left, stacker_right_context=right, stacker_step=step)
        valid, shown, zeros = (
            tensor("valid", "bool", ()),
            tensor("shown", "int16", y.shape),
            const("z", np.zeros(y.shape, np.int16)),
        )
        node = custom("SignalFramer" if name == "framer" else "SignalStacker", [x], [y, valid], **options)
        return x, [node, op("SELECT_V2", [valid, y, zeros], [shown])], [shown, valid]
    if name == "delay":
        shape, delay = details
        x, y = tensor("x", "int16", shape), tensor("y", "int16", shape)
        return x, [custom("SignalDelay", [x], [y], delay_length=delay)], [y]
    dtype, shape, step = details
    x, y = tensor("x", dtype, shape), tensor("y", dtype, (*shape[:-2], shape[-2] * step))
    return x, [custom("SignalOverlapAdd", [x], [y], T=TYPES[dtype], frame_step=step)], [y]


def make(rng, name, *details):
    x, nodes, outputs = build(name, *details)
    return model(nodes, [x], outputs)


test_matches_tflite_micro = compare(CASES, make, exact=True, samples=SAMPLES, sequence=True)


@pytest.mark.parametrize("prefill, first", [(False, 2), (True, 0)])
def test_a_full_frame_behind_one_that_is_not_is_the_oracles(prefill, first):
    """Four frames of 5 every 2 samples: without prefill the third is the first to be full, and the flag tells of none."""
    x, nodes, _ = build("framer", (2, 8), 5, 2, prefill)
    y, valid = nodes[0].outputs
    case = Case(model(nodes[:1], [x], [y, valid]), kinds=("ramp", "random"))
    (frames, flag), (later, full) = Host([case]).sequence(case, case.inputs, 0)
    (wanted, wanted_flag), (wanted_later, _) = case.expected
    assert flag == wanted_flag.tobytes() == bytes([prefill]) and full == b"\1"
    assert np.array_equal(np.frombuffer(frames, np.int16).reshape(wanted.shape)[:, first:], wanted[:, first:])
    assert later == wanted_later.tobytes()


def test_what_the_oracle_did_not_write_is_not_told():
    x, nodes, outputs = build("stacker", 4, 0, 3, 1)
    rng = np.random.default_rng(3)
    told = reference.traces(model(nodes, [x], outputs), [[rng.integers(-9, 9, 4).astype(np.int16)]], engine="tflm")[1][0]
    assert len(told) == 3, "the input, `valid` and `shown`, but no frame"
    spectrum, energy = tensor("x", "int16", (16,)), tensor("y", "uint32", (8,))
    data = model([custom("SignalEnergy", [spectrum], [energy], start_index=2, end_index=5)], [spectrum], [energy])
    told = reference.traces(data, [[np.full(16, 3, np.int16)]], engine="tflm")[1][0]
    assert [value.tolist() for t, value in told.items() if t] == [[0, 0, 18, 18, 18, 0, 0, 0]]


@pytest.mark.parametrize(
    "case, message",
    [
        (("framer", (6,), 2, 3, True), "nothing to prefill"),
        (("framer", (7,), 4, 3, False), "no multiple of 3"),
        (("stacker", 4, 1, 1, 4), "skips more inputs"),
        (("stacker", 4, 1, 1, 0), "its step 1 or more"),
        (("delay", (4,), 0), "its delay is 0"),
        (("delay", (4,), 1 << 30), "its delay is 1073741824"),
        (("overlap", "int16", (2, 4), 5), "its step 5"),
    ],
)
def test_refuses(case, message):
    x, nodes, outputs = build(*case)
    with pytest.raises(ModelError, match=message):
        lowered(model(nodes, [x], outputs))
