"""SignalFilterBank, SignalFilterBankSquareRoot, SignalFilterBankSpectralSubtraction, SignalPCAN, SignalFilterBankLog."""

import numpy as np
import pytest

from mcuml import dataset
from mcuml.errors import ModelError
from mcuml.graph import Tensor
from modelmaker import const, custom, model, op, tensor
from ops.builds import build
from ops.harness import Case, compare, lowered

SMOOTH = dict(
    alternate_one_minus_smoothing=15401, alternate_smoothing=983, clamping=False, min_signal_remaining=819,
    one_minus_smoothing=15975, smoothing=409, smoothing_bits=10, spectral_subtraction_bits=14,
)  # fmt: skip
CASES = [
    *(("bank", channels, loud) for channels in (1, 5, 40) for loud in (1, 4096, 32768)),
    *(("root", bits, loud) for bits in (0, 3, 31) for loud in (1, 512, 32768)),
    *(("pcan", shift, loud) for shift in (0, 6, 20, 63) for loud in (4096, 32768)),
    *(("log", bits, scale) for bits in (0, 3, 17) for scale in (1, 64, 65535, -3)),
]
SEQUENCES = [("subtract", ()), ("subtract", ("clamping", 1)), ("subtract", ("smoothing_bits", 0)),
             ("subtract", ("min_signal_remaining", -5)), ("subtract", ("spectral_subtraction_bits", 0))]  # fmt: skip


def energies(rng, count):
    """(int16 input, operators, uint32 tensor): energies from 0 to 2^31, as many of each size."""
    x, y, z = tensor("x", "int16", (2 * count,)), tensor("soft", "int16", (2 * count,)), tensor("energy", "uint32", (count,))
    window = const("w", (2 ** rng.uniform(0, 15, 2 * count)).astype(np.int16))
    return (
        x,
        [custom("SignalWindow", [x, window], [y], shift=15), custom("SignalEnergy", [y], [z], start_index=0, end_index=count)],
        z,
    )


def bank(rng, source, channels, loud):
    starts = rng.integers(0, 8, channels + 1)
    widths = rng.integers(0, source.shape[0] - 8, channels + 1)
    tables = [rng.integers(-loud, loud, 500), rng.integers(-loud, loud, 500), starts, starts * 3, widths]
    output = tensor("sums", "uint64", (channels,))
    constants = [const(f"t{i}", table.astype(np.int16)) for i, table in enumerate(tables)]
    return custom("SignalFilterBank", [source, *constants], [output], num_channels=channels), output


def make(rng, name, *details):
    x, before, energy = energies(rng, 64)
    if name in ("bank", "root"):
        node, sums = bank(rng, energy, 30 if name == "root" else details[0], details[1])
        if name == "bank":
            return model([*before, node], [x], [sums])
        y = tensor("y", "uint32", sums.shape)
        return model(
            [*before, node, custom("SignalFilterBankSquareRoot", [sums, const("bits", np.int32(details[0]))], [y])], [x], [y]
        )
    if name == "pcan":
        gain = const("gain", rng.integers(-details[1], details[1], 125).astype(np.int16))
        noise, y = tensor("noise", "uint32", energy.shape), tensor("y", "uint32", energy.shape)
        if details[1] < 32768:  # every number of bits
            noise = const("noise", np.array([2**i + j for i in range(1, 32) for j in (-2, 0)] + [1, 2**32 - 1], np.uint32))
        last = custom("SignalPCAN", [energy, noise, gain], [y], snr_shift=details[0])
        return model([*before, last], [x] if noise.data is not None else [x, noise], [y])
    if name == "log":
        y = tensor("y", "int16", energy.shape)
        last = custom("SignalFilterBankLog", [energy], [y], input_correction_bits=details[0], output_scale=details[1])
        return model([*before, last], [x], [y])
    y, noise = tensor("y", "uint32", energy.shape), tensor("noise", "uint32", energy.shape)
    last = custom(
        "SignalFilterBankSpectralSubtraction",
        [energy],
        [y, noise],
        num_channels=64,
        **{**SMOOTH, **dict([details[0]] if details[0] else [])},
    )
    return model([*before, last], [x], [y, noise])


def preprocessor(rng, frame):
    """All of an audio front end, as micro_speech's: windowed samples to a spectrum to 40 channels to features, over time."""
    x, y = tensor("x", "int16", (1, frame)), tensor("features", "int16", (40,))
    window = (4096 * np.hanning(frame)).astype(np.int16)
    names = (("windowed", "int16", frame), ("scaled", "int16", frame), ("bits", "int32", None), ("spectrum", "int16", 514))
    names += (("energy", "uint32", 257), *((name, "uint32", 40) for name in ("roots", "clean", "noise", "levels")))
    t = {name: tensor(name, dtype, () if size is None else (size,)) for name, dtype, size in names}
    rows = tensor("rows", "int16", (1, frame))
    node, sums = bank(rng, t["energy"], 40, 4096)
    node.inputs[1:3] = [const(name, rng.integers(0, 4096, 500).astype(np.int16)) for name in ("weights", "unweights")]
    gains = const("gains", rng.integers(1, 2000, 125).astype(np.int16))
    steps = [
        custom("SignalWindow", [x, const("window", window)], [rows], shift=12),
        op("RESHAPE", [rows, const("shape", np.array([frame], np.int32))], [t["windowed"]], new_shape=[frame]),
        custom("SignalFftAutoScale", [t["windowed"]], [t["scaled"], t["bits"]]),
        custom("SignalRfft", [t["scaled"]], [t["spectrum"]], T=7, fft_length=512),
        custom("SignalEnergy", [t["spectrum"]], [t["energy"]], start_index=0, end_index=257),
        node,
        custom("SignalFilterBankSquareRoot", [sums, t["bits"]], [t["roots"]]),
        custom("SignalFilterBankSpectralSubtraction", [t["roots"]], [t["clean"], t["noise"]], num_channels=40, **SMOOTH),
        custom("SignalPCAN", [t["clean"], t["noise"], gains], [t["levels"]], snr_shift=6),
        custom("SignalFilterBankLog", [t["levels"]], [y], input_correction_bits=3, output_scale=64),
    ]
    return model(steps, [x], [y])


test_front_ends = compare([(480,), (400,)], preprocessor, sequence=True)
test_matches_tflite_micro = compare(CASES, make)
test_noise_is_remembered = compare(SEQUENCES, make, sequence=True)


@pytest.mark.parametrize(
    "name, inputs, output, options, message",
    [
        ("SignalFilterBankLog", [("uint32", 4)], ("int16", 5), dict(input_correction_bits=0, output_scale=1), "input's shape"),
        ("SignalFilterBankLog", [("uint32", 4)], ("int16", 4), dict(input_correction_bits=32, output_scale=1), "32 bits"),
        ("SignalPCAN", [("uint32", 4)] * 2 + [("int16", 125)], ("uint32", 4), dict(snr_shift=64), "its shift 64"),
        ("SignalPCAN", [("uint32", 4)] * 2 + [("int16", 124)], ("uint32", 4), dict(snr_shift=6), "at least 125"),
        ("SignalPCAN", [("uint32", 4), ("uint32", 5), ("int16", 125)], ("uint32", 4), dict(snr_shift=6), "input's shape"),
        ("SignalFilterBank", [("uint32", 9), *[("int16", 3)] * 5], ("uint64", 2), dict(num_channels=2), "behind"),
        ("SignalFilterBank", [("uint32", 9), *[("int16", 3)] * 5], ("uint64", 3), dict(num_channels=3), "must be 4 constants"),
        ("SignalFilterBank", [("uint32", 9), *[("int16", 3)] * 5], ("uint64", 3), dict(num_channels=2), "its 2 channels"),
    ],
)
def test_refuses(name, inputs, output, options, message):
    operands = [
        const(f"c{i}", np.full(size, size, dtype)) if dtype == "int16" else tensor(f"x{i}", dtype, (size,))
        for i, (dtype, size) in enumerate(inputs)
    ]
    y = tensor("y", output[0], (output[1],))
    given = [t for t in operands if t.data is None]
    with pytest.raises(ModelError, match=message):
        lowered(model([custom(name, operands, [y], **options)], given, [y]))


def test_refuses_impossible_shifts_of_noise():
    x, y, noise = (tensor(name, "uint32", (4,)) for name in ("x", "y", "noise"))
    options = {**SMOOTH, "num_channels": 4, "smoothing_bits": 32}
    with pytest.raises(ModelError, match="smoothing_bits 32"):
        lowered(model([custom("SignalFilterBankSpectralSubtraction", [x], [y, noise], **options)], [x], [y]))


def test_constants_of_64_bits_are_written_as_c_takes_them():
    ends = const("ends", np.array([0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1], np.uint64))
    x, y, bits = tensor("x", "int16", (4,)), tensor("y", "uint32", (6,)), tensor("bits", "int32", ())
    scaled = tensor("scaled", "int16", (4,))
    nodes = [custom("SignalFftAutoScale", [x], [scaled, bits]), custom("SignalFilterBankSquareRoot", [ends, bits], [y])]
    case = Case(model(nodes, [x], [y, scaled]))
    for kind in ("host", "cortex-m0plus"):
        for sample, wanted in zip(build(kind, [case]).sequence(case, case.inputs, 0), case.expected, strict=True):
            assert np.frombuffer(sample[0], np.uint32).tolist() == wanted[0].tolist()


def test_random_inputs_of_64_bits_reach_the_upper_half():
    values = dataset.random([Tensor("x", "uint64", (50,))], 1).samples()[0][0]
    assert values.dtype == np.uint64 and values.max() > 1 << 63
