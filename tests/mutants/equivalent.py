"""Changes that no test can see, each with the reason: the program that they make is as right as the one they change."""

from __future__ import annotations

from typing import NamedTuple

from mutants.sites import Mutant

STATUS = "any status but 0 says that it failed"
FLAG = "any value but 0 says that it has run"
TAIL = "what follows the loop does the same"
CLOSE = "less than the last bit of a float32 where this polynomial is used"
SAME = "both ways give the same at equality"
PLACE = "where an input may lie in place: the result is the same with and without"
SPARE = "sets more aside than must be"


class Known(NamedTuple):
    file: str
    line: str  # how it begins
    changes: str  # "before after", or several parted by commas
    reason: str
    rows: str = ""  # only of those that hold this
    at: str = ""  # how the text goes on from the changed token on, where the line has several of them


KNOWN = (
    Known("gather.c.j2", "if (", "1 2", STATUS),
    Known("control_flow.c.j2", "*(uint8_t *)(void *)", "1 2", FLAG),
    Known("lut8.c.j2", "for (; elements >= 4;", ">= >,4 5", TAIL),
    Known("arithmetic.c.j2", "for (; elements >= 4;", ">= >,4 5", TAIL),
    Known("arithmetic.c.j2", "for (; end - out >= 4;", ">= >,4 5", TAIL),
    Known("arithmetic.c.j2", "int32_t sum = requantize((x + k0)", "+ -", "zero points are 0", "int16"),
    Known("arithmetic.c.j2", "if (bits << 1 ==", "<< >>", "tests/ops/test_overflow.py sees it, which is not of this row"),
    Known("move.c.j2", "for (; rows > 0;", "+= -=", "one value has no second row", "FILL"),
    Known("pad.c.j2", "for (; bytes >= 4;", ">= >,4 5", TAIL),
    Known("pad.c.j2", "return out + bytes;", "+ -", "no bytes are left of whole words", "32"),
    Known("fixedpoint.c.j2", "if (!(size > 0.25f))", "315 316,2835 2836", CLOSE),
    Known("fixedpoint.c.j2", "if (*shift < 0)", "0 1,< <=", "a shift by 0"),
    Known("unary.c.j2", "if (x >= 0) return requantize(x,", ">= >", SAME),
    Known("unary.c.j2", "for (; elements > 0;", "0 1,> >=", "in place, where the bytes are right already", "CAST"),
    Known("unary.c.j2", "return x != x ? 0", "0 1,- +", "beyond int32, for which C leaves open what TFLite Micro gives", "CAST"),
    Known("fixedpoint.c.j2", "int32_t y = 1515870810", "1010580540 1010580541", "a first guess, which three steps make exact"),
    Known("l2_normalization.c.j2", "if (length < 1e-6f)", "< <=", SAME),
    Known("log_softmax.c.j2", "while (n < 32 &&", "< <=,32 33", "x is 1 or more"),
    Known("binary.c.j2", "int leading = 0", "0 1", "a divisor of 8 bits has more leading zeros"),
    Known("arithmetic.c.j2", "return requantize((x + k0) * (y + k1), k2, k3) + k4;", "+ -", "zero points are 0", "int16"),
    Known("quantize.c.j2", "*out++ = ({{ type }})clamp_s32(", "+ -", "zero points are 0", "int16"),
    Known("quantize.c.j2", "int32_t scaled = requantize(", "- +", "zero points are 0", "int16"),
    Known("concatenation.py", "if rows == 1 and not t.is_const and place % 4", "== !=,1 2,% +,4 5,0 1,and or", PLACE),
    Known("control_flow.py", "loop = end.inputs[:", "// *", SPARE),
    Known("control_flow.py", 'if self.code == "WHILE:end" and', "and or", SPARE),
    Known("control_flow.py", "scratch = sum(-(-graph.tensors[s].bytes", "8 9", SPARE, at="8 for"),
    Known("elements.c.j2", "return clamp_s32(value, -32768", "32768 32769", "a magnitude is not below 0", "ABS"),
    Known("elements.c.j2", "for (; rows > 0;", "+= -=", "it repeats one row: the step is 0", "BROADCAST_TO", "+= from_step"),
    Known("move.c.j2", "for (; rows > 0;", "+= -=", "it asks for one row", "UNPACK"),
    Known("arithmetic.c.j2", "return requantize(sum, k6, k7) + k8;", "+ -", "zero points are 0", "int16"),
    Known("pool_2d.c.j2", "for (; c <= s->in_channels - 4;", "<= <,4 5", TAIL),
    Known("dynamic_slice.c.j2", "if (n < 0 || n > limits[i])", "1 2", "any start below 0 says that it is outside"),
    Known("reduce.c.j2", '{{ "        " }}*out++ = ({{ type }})clamp_s32(', "- +,+ -", "zero points are 0", "int16"),
    Known("signal_fft.c.j2", "else if (-in[i] > most)", "> >=", SAME),
    Known("signal_filter_bank.c.j2", "uint32_t natural =", "32768 32769", "the product is even, so that both are rounded alike"),
)


def reason(mutant: Mutant, row: str) -> str:
    """Why the change makes no difference to the row, "" when it should."""
    change = f"{mutant.before} {mutant.after}"
    goes_on = mutant.text[mutant.start :].startswith
    fits = (k for k in KNOWN if k.file == mutant.path.name and k.rows in row)
    found = (k for k in fits if mutant.line.startswith(k.line) and goes_on(k.at))
    return next((k.reason for k in found if change in k.changes.split(",")), "")
