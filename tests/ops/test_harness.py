"""The harness itself: wrong outputs, accesses outside the arena and mutable globals must not pass."""

import numpy as np
import pytest

from modelmaker import model, op, tensor
from ops.builds import build
from ops.harness import DSP, SMALL, Case, agree

ELEMENTS = 4096  # the arena fills its page and one element more reaches the next


def relu() -> Case:
    x, y = tensor("x", "int8", (1, ELEMENTS), 0.1, 0), tensor("y", "int8", (1, ELEMENTS), 0.2, 0)
    return Case(model([op("RELU", [x], [y])], [x], [y]))


def run(kind: str, case: Case) -> None:
    runner = build(kind, [case])
    for number, (sample, expected) in enumerate(zip(case.inputs, case.expected, strict=True)):
        (raw,) = runner.run(case, sample, number)
        agree(np.frombuffer(raw, np.int8).reshape(expected[0].shape), expected[0], True, "")


def spoil(case: Case, old: str, new: str) -> Case:
    name = f"{case.prefix}.c"
    assert old in case.files[name], f"the generated C no longer has {old}"
    case.files = case.files | {name: case.files[name].replace(old, new)}
    return case


CALL = f"(arena + 0), {ELEMENTS}, "
SPOILED = [  # (build, what stands in the C, what takes its place, what the failure says)
    ("host", "a | b << 8", "b | a << 8", "Arrays are not equal"),
    ("host", CALL, f"(arena + 0), {ELEMENTS + 1}, ", "behind the arena"),
    ("host", "arena + 0", "arena - 1", "in front of the arena"),
    (DSP, CALL, f"(arena + 0), {ELEMENTS + 1}, ", "READ_UNMAPPED|WRITE_UNMAPPED|outside the arena"),
    (DSP, "(const uint8_t *)(const int8_t *)(arena + 0)", "(const uint8_t *)(arena - 1)", "READ_UNMAPPED"),
    (DSP, "(arena + 0), 4096", "(arena - 1), 4096", "WRITE_UNMAPPED"),
    (
        DSP,
        "    for (; elements >= 4",
        "    static int32_t calls;\n    elements += calls++ & 0;\n    for (; elements >= 4",
        "mutable global",
    ),
    (DSP, "    for (; elements >= 4", "    int32_t unused;\n    for (; elements >= 4", "unused-variable"),
    (SMALL, "a | b << 8", "b | a << 8", "Arrays are not equal"),
    (SMALL, "uint32_t x = load32(in);", "uint32_t x = *(const uint32_t *)(in + 1);", "init|invoke"),
]


@pytest.mark.parametrize("kind", ["host", DSP, SMALL])
def test_what_is_right_passes(kind):
    run(kind, relu())


@pytest.mark.parametrize("kind, old, new, says", SPOILED, ids=lambda v: v[:24] if isinstance(v, str) else None)
def test_what_is_wrong_fails(kind, old, new, says):
    with pytest.raises(AssertionError, match=says):
        run(kind, spoil(relu(), old, new))
