"""How TFLite Micro's signal operators are drawn: one at a time on what is there, and the parts of an audio front end in a row."""

from __future__ import annotations

import numpy as np

import modelmaker as mm
from fuzz.draft import Draft, NoFit, Recipe
from mcuml.ops.signal_fft import TYPES
from modelmaker import OpSpec, TensorSpec


def _plain(d: Draft, dtype: str, shape: tuple[int, ...]) -> TensorSpec:
    return d.new(dtype, shape)  # int16 with a scale, which these operators ignore and others need


def _table(d: Draft, low: int, high: int, count: int) -> TensorSpec:
    return d.const(d.rng.integers(low, high, count), "int16")


def window(d: Draft, code: str) -> OpSpec:
    x = d.take(("int16",), (1, 2, 3, 4))
    table = _table(d, -32768, 32768, x.shape[-1])
    return mm.custom("SignalWindow", [x, table], [d.same(x, x.shape)], shift=d.pick((0, 9, 12, 15)))


def auto_scale(d: Draft, code: str) -> OpSpec:
    x = d.take(("int16",), (1,))
    return mm.custom("SignalFftAutoScale", [x], [d.same(x, x.shape), _plain(d, "int32", ())])


def transform(d: Draft, code: str) -> list[OpSpec]:
    """To a spectrum, and back for SignalIrfft."""
    x = d.take(("int16", "float32"), (1, 2, 3))
    *rows, count = x.shape
    length = max(4, 1 << (count - 1).bit_length()) << d.number(0, 1)
    options = dict(T=TYPES[x.dtype], fft_length=length)
    there, back = _plain(d, x.dtype, (*rows, length + 2)), _plain(d, x.dtype, (*rows, length))
    steps = [mm.custom("SignalRfft", [x], [there], **options)]
    return steps + [mm.custom("SignalIrfft", [there], [back], **options)] * (code == "CUSTOM:SignalIrfft")


def _energy(d: Draft) -> tuple[list[OpSpec], TensorSpec]:
    """Energies of all sizes."""
    count = d.number(10, 40)
    x, loud, y = d.feed("int16", (2 * count,)), _plain(d, "int16", (2 * count,)), _plain(d, "uint32", (count,))
    table = d.const(2 ** d.rng.uniform(0, 15, 2 * count), "int16")
    steps = [mm.custom("SignalWindow", [x, table], [loud], shift=15)]
    return [*steps, mm.custom("SignalEnergy", [loud], [y], start_index=0, end_index=count)], y


def front_end(d: Draft, code: str) -> list[OpSpec]:
    """Energies up to the operator `code`, each part in front of it drawn or left out."""
    if len(d.inputs) >= d.most_inputs:
        raise NoFit
    steps, level = _energy(d)
    last = code.partition(":")[2]
    if last == "SignalEnergy":
        return steps
    if last in ("SignalFilterBank", "SignalFilterBankSquareRoot") or d.chance(0.5):
        channels, loud = d.number(1, 12), d.pick((1, 512, 4096))
        starts, widths = _table(d, 0, 5, channels + 1), _table(d, 0, level.shape[0] - 5, channels + 1)
        offsets = d.const(starts.data * 3, "int16")
        sums = _plain(d, "uint64", (channels,))
        tables = [_table(d, 0, loud + 1, 500), _table(d, 0, loud + 1, 500), starts, offsets, widths]
        steps.append(mm.custom("SignalFilterBank", [level, *tables], [sums], num_channels=channels))
        if last == "SignalFilterBank":
            return steps
        level = _plain(d, "uint32", sums.shape)
        steps.append(mm.custom("SignalFilterBankSquareRoot", [sums, d.const(d.number(0, 8))], [level]))
        if last == "SignalFilterBankSquareRoot":
            return steps
    noise = level
    if last == "SignalFilterBankSpectralSubtraction" or d.chance(0.5):
        clean, noise = _plain(d, "uint32", level.shape), _plain(d, "uint32", level.shape)
        options = dict(
            num_channels=level.shape[0], smoothing=d.pick((409, 0, 983)), one_minus_smoothing=15975, alternate_smoothing=983,
            alternate_one_minus_smoothing=15401, smoothing_bits=d.number(0, 10), min_signal_remaining=819,
            clamping=d.chance(0.5), spectral_subtraction_bits=14,
        )  # fmt: skip
        steps.append(mm.custom("SignalFilterBankSpectralSubtraction", [level], [clean, noise], **options))
        level = clean
        if last == "SignalFilterBankSpectralSubtraction":
            return steps
    if last == "SignalPCAN" or d.chance(0.5):
        made, gains = _plain(d, "uint32", level.shape), _table(d, 1, 2000, 125)
        steps.append(mm.custom("SignalPCAN", [level, noise, gains], [made], snr_shift=d.pick((0, 6, 20))))
        level = made
        if last == "SignalPCAN":
            return steps
    options = dict(input_correction_bits=d.pick((0, 3)), output_scale=d.pick((1, 64, 1600)))
    return [*steps, mm.custom("SignalFilterBankLog", [level], [_plain(d, "int16", level.shape)], **options)]


def frames(d: Draft, code: str) -> list[OpSpec]:
    """Frames of what came so far; zeros as long as there is no whole one, which TFLite Micro leaves unset."""
    x = d.take(("int16",), (1, 2, 3) if code == "CUSTOM:SignalFramer" else (1,))
    if code == "CUSTOM:SignalFramer":
        step = d.pick([n for n in range(1, x.shape[-1] + 1) if x.shape[-1] % n == 0])
        size = step + d.number(0, 2 * step)
        shape = (*x.shape[:-1], x.shape[-1] // step, size)
        options = dict(frame_size=size, frame_step=step, prefill=d.chance(0.5))
    else:
        left, right = d.number(0, 2), d.number(0, 2)
        shape = (x.shape[0] * (left + 1 + right),)
        options = dict(
            num_channels=x.shape[0], stacker_left_context=left, stacker_right_context=right,
            stacker_step=d.number(1, left + right + 1),
        )  # fmt: skip
    y, valid, shown = d.same(x, shape), _plain(d, "bool", ()), d.same(x, shape)
    d.hidden.add(id(y))
    zeros = d.const(np.zeros(shape), "int16", like=x)
    return [mm.custom(code.partition(":")[2], [x], [y, valid], **options), mm.op("SELECT_V2", [valid, y, zeros], [shown])]


def delay(d: Draft, code: str) -> OpSpec:
    x = d.take(("int16",), (1, 2, 3, 4))
    return mm.custom("SignalDelay", [x], [d.same(x, x.shape)], delay_length=d.number(1, 2 * x.shape[-1] + 1))


def overlap(d: Draft, code: str) -> OpSpec:
    x = d.take(("int16", "float32"), (2, 3, 4))
    step = d.number(1, x.shape[-1])
    y = d.same(x, (*x.shape[:-2], x.shape[-2] * step))
    return mm.custom("SignalOverlapAdd", [x], [y], T=TYPES[x.dtype], frame_step=step)


PARTS = ("Energy", "FilterBank", "FilterBankSquareRoot", "FilterBankSpectralSubtraction", "PCAN", "FilterBankLog")
RECIPES: dict[str, Recipe] = {
    "CUSTOM:SignalWindow": window, "CUSTOM:SignalFftAutoScale": auto_scale,
    **dict.fromkeys(("CUSTOM:SignalRfft", "CUSTOM:SignalIrfft"), transform),
    **{f"CUSTOM:Signal{name}": front_end for name in PARTS},
    **dict.fromkeys(("CUSTOM:SignalFramer", "CUSTOM:SignalStacker"), frames),
    "CUSTOM:SignalDelay": delay, "CUSTOM:SignalOverlapAdd": overlap,
}  # fmt: skip
