"""IF, WHILE, CALL_ONCE and variables against TFLite Micro: nested, with swapped loop variables, and with state that lives on."""

import numpy as np
import pytest

from mcuml.errors import ModelError
from modelmaker import OpSpec, TensorSpec, const, custom, model, op, tensor
from ops.harness import Case, compare, lowered

SHAPE = (1, 6)
INT8 = {"scale": 0.05, "zero_point": 3}


def like(name, dtype="float32", shape=SHAPE):
    return tensor(name, dtype, shape, **(INT8 if dtype == "int8" else {}))


def binary(code, a, b, name="y"):
    out = like(name, a.dtype, a.shape)
    return op(code, [a, b], [out], fused_activation_function="NONE"), out


def branch(code, dtype="float32"):
    """A subgraph of two inputs and one output."""
    a, b = like("a", dtype), like("b", dtype)
    made, out = binary(code, a, b)
    return [made], [a, b], [out]


def if_else(rng, dtype):
    cond, x, y, out = tensor("cond", "bool", (1,)), like("x", dtype), like("y", dtype), like("out", dtype)
    chosen = op("IF", [cond, x, y], [out], then_subgraph_index=1, else_subgraph_index=2)
    return model([chosen], [cond, x, y], [out], [branch("ADD", dtype), branch("MUL", dtype)])


def if_passes_through(rng, dtype):
    """One branch gives its inputs back, the other a constant and a view."""
    cond, x, y = tensor("cond", "bool", (1,)), like("x", dtype), like("y", dtype)
    outs = [like("p", dtype), like("q", dtype)]
    a, b = like("a", dtype), like("b", dtype)
    c, d, view = like("c", dtype), like("d", dtype), like("view", dtype, (6, 1))
    held = const("held", np.arange(6, dtype=dtype).reshape(SHAPE), **(INT8 if dtype == "int8" else {}))
    d2 = like("d2", dtype)
    other = [op("RESHAPE", [d], [view], new_shape=[6, 1]), op("RESHAPE", [view], [d2], new_shape=list(SHAPE))]
    chosen = op("IF", [cond, x, y], outs, then_subgraph_index=1, else_subgraph_index=2)
    return model([chosen], [cond, x, y], outs, [([], [a, b], [b, a]), (other, [c, d], [held, d2])])


def counted(body_ops, state, following, turns):
    """(condition subgraph, body subgraph) of a loop of `turns` turns over a counter and `state`."""
    i, held = tensor("i", "int32", (1,)), [like(f"c{n}", t.dtype, t.shape) for n, t in enumerate(state)]
    more = tensor("more", "bool", (1,))
    condition = ([op("LESS", [i, const("turns", np.array([turns], np.int32))], [more])], [i, *held], [more])
    j = tensor("j", "int32", (1,))
    one = const("one", np.array([1], np.int32))
    add, after = binary("ADD", j, one, "next")
    return condition, ([add, *body_ops], [j, *state], [after, *following])


def loop(rng, turns):
    x, y, zero = like("x"), like("y"), const("zero", np.zeros(1, np.int32))
    a, b = like("a"), like("b")
    add, total = binary("ADD", a, b)
    condition, body = counted([add], [a, b], [total, b], turns)
    outs = [tensor("n", "int32", (1,)), like("p"), like("q")]
    run = op("WHILE", [zero, x, y], outs, cond_subgraph_index=1, body_subgraph_index=2)
    return model([run], [x, y], outs, [condition, body])


def swapped(rng, turns, viewed, columns=6):
    """Each turn exchanges the two loop variables, perhaps through a reshape and back."""
    wide = {"shape": (1, columns)}
    x, y, zero = like("x", **wide), like("y", **wide), const("zero", np.zeros(1, np.int32))
    a, b = like("a", **wide), like("b", **wide)
    ops, first = [], b
    if viewed:
        tall, first = like("tall", shape=(6, 1)), like("again")
        ops = [op("RESHAPE", [b], [tall], new_shape=[6, 1]), op("RESHAPE", [tall], [first], new_shape=list(SHAPE))]
    condition, body = counted(ops, [a, b], [first, a], turns)
    outs = [tensor("n", "int32", (1,)), like("p", **wide), like("q", **wide)]
    run = op("WHILE", [zero, x, y], outs, cond_subgraph_index=1, body_subgraph_index=2)
    return model([run], [x, y], outs, [condition, body])


def nested(rng, turns):
    """A loop whose body chooses between a sum and a product."""
    x, y, zero = like("x"), like("y"), const("zero", np.zeros(1, np.int32))
    a, b, chosen, early = like("a"), like("b"), like("chosen"), tensor("early", "bool", (1,))
    condition, (ops, inputs, outputs) = counted([], [a, b], [chosen, b], turns)
    ops += [
        op("LESS", [inputs[0], const("half", np.array([2], np.int32))], [early]),
        op("IF", [early, a, b], [chosen], then_subgraph_index=3, else_subgraph_index=4),
    ]
    outs = [tensor("n", "int32", (1,)), like("p"), like("q")]
    run = op("WHILE", [zero, x, y], outs, cond_subgraph_index=1, body_subgraph_index=2)
    after, result = binary("MUL", outs[1], y, "result")
    return model([run, after], [x, y], [outs[0], result], [condition, (ops, inputs, outputs), branch("ADD"), branch("MUL")])


def handle(name="v"):
    out = tensor("handle", "resource", (1,))
    return op("VAR_HANDLE", [], [out], shared_name=name), out


def accumulator(rng, dtype, once):
    """Adds each input to a variable; CALL_ONCE may give its first value."""
    x, held, total = like("x", dtype), like("held", dtype), like("total", dtype)
    make, place = handle()
    ops: list[OpSpec] = [make]
    others = []
    if once:
        make_inside, inside = handle()
        values = const("first", np.arange(6, dtype=dtype).reshape(SHAPE), **(INT8 if dtype == "int8" else {}))
        others = [([make_inside, op("ASSIGN_VARIABLE", [inside, values], [])], [], [])]
        ops.insert(0, op("CALL_ONCE", [], [], init_subgraph_index=1))
    ops += [
        op("READ_VARIABLE", [place], [held]),
        op("ADD", [held, x], [total], fused_activation_function="NONE"),
        op("ASSIGN_VARIABLE", [place, total], []),
    ]
    return model(ops, [x], [total], others)


def delayed(x):
    """SignalDelay: state of the operator."""
    y = like("y", "int16")
    return [custom("SignalDelay", [x], [y], delay_length=4)], y, []


def filtered(x):
    """SVDF: state in a variable of the file."""
    values = ((1 + np.arange(n, dtype=np.float32).reshape(shape)) / 16 for n, shape in ((36, (6, 6)), (18, (6, 3)), (6, (6,))))
    weights = [const(name, value) for name, value in zip("ftb", values, strict=True)]
    state, y = tensor("state", "float32", (1, 18)), like("y")
    state.variable = True
    return [op("SVDF", [x, *weights, state], [y], rank=1)], y, []


def started(x):
    """A sum that a CALL_ONCE gives its first value."""
    (make, place), held, y = handle(), like("held"), like("y")
    make_inside, inside = handle()
    values = const("first", np.arange(6, dtype=np.float32).reshape(SHAPE))
    first = [make_inside, op("ASSIGN_VARIABLE", [inside, values], [])], [], []
    add = op("ADD", [held, x], [y], fused_activation_function="NONE")
    read, assign = op("READ_VARIABLE", [place], [held]), op("ASSIGN_VARIABLE", [place, y], [])
    return [op("CALL_ONCE", [], [], init_subgraph_index=3), make, read, add, assign], y, [first]


def remembering(rng, kind):
    """A subgraph with state, called from three places: one state."""
    called = {"delayed": delayed, "filtered": filtered, "started": started}[kind]
    dtype = "int16" if kind == "delayed" else "float32"
    x, inner, cond = like("x", dtype), like("inner", dtype), tensor("cond", "bool", (1,))
    outs = [like("p", dtype), like("q", dtype)]
    calls = [op("IF", [cond, x], [y], then_subgraph_index=1, else_subgraph_index=n) for y, n in zip(outs, (1, 2), strict=True)]
    ops, result, others = called(inner)
    other = like("other", dtype)
    return model(calls, [cond, x], outs, [(ops, [inner], [result]), ([], [other], [other]), *others])


MAKERS = {f.__name__: f for f in (if_else, if_passes_through, loop, swapped, nested, accumulator, remembering)}
CASES = [
    *(("if_else", dtype) for dtype in ("float32", "int8")),
    *(("if_passes_through", dtype) for dtype in ("float32", "int8")),
    *(("loop", turns) for turns in (0, 1, 5)),
    *(("swapped", turns, viewed) for turns in (0, 1, 4) for viewed in (False, True)),
    ("swapped", 3, False, 50),
    *(("nested", turns) for turns in (1, 3)),
    *(("accumulator", dtype, once) for dtype in ("float32", "int8") for once in (False, True)),
    *(("remembering", kind) for kind in ("delayed", "filtered", "started")),
]


def make(rng, kind, *case):
    return MAKERS[kind](rng, *case)


test_matches_tflite_micro = compare(CASES, make, exact=True, sequence=True)


def test_loop_variables_lie_in_their_first_values():
    arena = Case(loop(None, 5)).planned.arena_bytes
    assert arena == 3 * 24 + 2 * 4, "two variables and the sum of six floats each, the counter and its next value"


X = like("x")


def bad_if(**changes):
    cond, out = changes.get("cond", tensor("cond", "bool", (1,))), changes.get("out", like("out"))
    args: list[TensorSpec] = changes.get("args", [X, X])
    chosen = op("IF", [cond, *args], [out], then_subgraph_index=changes.get("then", 1), else_subgraph_index=2)
    return model([chosen], [cond, X], [out], [branch("ADD"), branch("MUL")])


@pytest.mark.parametrize(
    "data, rule",
    [
        (bad_if(then=7), "it names subgraph 7 of 3"),
        (bad_if(then=0), "it names subgraph 0 of 3"),
        (bad_if(args=[X]), "subgraph 1 takes 2 tensors and gives 1, not 1 and 1"),
        (bad_if(cond=like("cond", shape=(1,))), "its condition is float32[1], not one bool"),
        (bad_if(cond=tensor("cond", "bool", (2,))), "its condition is bool[2], not one bool"),
        (bad_if(out=like("out", shape=(1, 5))), "'y' is float32[1, 6], but 'out' is float32[1, 5]"),
        (bad_if(args=[X, like("x8", "int8")]), "'x8' is int8[1, 6], but 'b' is float32[1, 6]"),
        (
            model([op("CALL_ONCE", [], [], init_subgraph_index=1)], [X], [X],
                  [([op("CALL_ONCE", [], [], init_subgraph_index=1)], [], [])]),
            "subgraph 1 calls itself",
        ),
        (
            model([op("READ_VARIABLE", [tensor("h", "resource", (1,))], [like("y")])], [X], [X]),
            "its variable does not come from a VAR_HANDLE beside it",
        ),
    ],
    ids=range(9),
)  # fmt: skip
def test_calls_that_do_not_go_together_are_told(data, rule):
    with pytest.raises(ModelError) as caught:
        lowered(data)
    assert rule in caught.value.what
