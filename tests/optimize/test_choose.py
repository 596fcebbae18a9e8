"""Choice: fronts, recommendations and goals on made-up candidates, and that no test result takes part in it."""

from __future__ import annotations

import re
from dataclasses import fields

import numpy as np
import pytest

from mcuml.errors import CheckError, RequestError
from mcuml.optimize.accounting import Account, OnBoard
from mcuml.optimize.choose import Figures, Seen, best, figures, front, recommend, seen
from mcuml.optimize.goals import METRICS, parse, parse_fit

SAMPLES, SEEDS, BOARD = 2000, 3, "some-board"
ROWS = {  # name: (wrong of 2000, flash, RAM, ms)
    "float": (200, 90_000, 12_000, 7.0),
    "int8": (201, 35_000, 6_800, 3.4),
    "pruned": (202, 24_000, 6_800, 3.0),
    "tiny": (400, 11_000, 5_000, 1.5),
    "wide": (150, 95_000, 13_000, 8.0),
    "slow": (203, 35_100, 6_900, 9.0),  # int8 is better in everything
}


def bits(wrong: int, rng: np.random.Generator) -> str:
    """The first `wrong` samples are wrong, but for a few that the seed decides."""
    right = np.arange(SAMPLES) >= wrong
    right[rng.integers(0, SAMPLES, 4)] ^= True
    return np.packbits(right).tobytes().hex()


def accounts(rows: dict = ROWS, test_seed: int = 0, ms: bool = True, **boards: OnBoard) -> dict[str, list[Account]]:
    """SEEDS accounts of each row. `test_seed` draws the test results; `boards`: another board's figures for a row."""
    rng, test = np.random.default_rng(1), np.random.default_rng(test_seed)
    held = {}
    for name, (wrong, flash, ram, latency) in rows.items():
        cycles = {"cycles": int(latency * 64_000), "ms": latency, "kind": "estimated"} if ms else {}
        on = boards.get(name) or OnBoard(
            board=BOARD, fits=True, flash_bytes=flash, ram_bytes=ram - 400, stack_bytes=400, arena_bytes=ram // 2, **cycles
        )
        held[name] = [
            Account(
                parameters=flash, nonzero_parameters=flash, tflite_bytes=flash - 10_000, gzip_bytes=flash // 2,
                macs=int(latency * 10_000), scheme="int8", validation_accuracy=0.5, test_accuracy=float(test.random()),
                validation_samples=SAMPLES, test_samples=SAMPLES, correct_validation=bits(wrong, rng),
                correct_test=bits(int(test.integers(SAMPLES)), test), boards=(on,),
            )
            for _ in range(SEEDS)
        ]  # fmt: skip
    return held


def compared(held: dict[str, list[Account]], baseline: str = "float") -> tuple[Figures, ...]:
    return figures({name: [seen(a) for a in seeds] for name, seeds in held.items()}, baseline, BOARD)


HELD = compared(accounts())


def of(name: str, held: tuple[Figures, ...] = HELD) -> Figures:
    return next(f for f in held if f.name == name)


def test_figures() -> None:
    int8 = of("int8")
    assert (int8.flash, int8.ram, int8.latency, int8.cycles, int8.size) == (35_000, 6_800, 3.4, 217_600, 25_000)
    assert int8.accuracy == pytest.approx(100 * (1 - int8.errors / (SAMPLES * SEEDS))) and 89.5 < int8.accuracy < 90
    assert int8.accuracy_drop == pytest.approx(of("float").accuracy - int8.accuracy)
    assert all(int8.value(metric) is not None for metric in METRICS)


def test_the_largest_of_the_seeds_counts() -> None:
    held = accounts()
    held["int8"][1] = held["int8"][1].model_copy(
        update={"boards": (held["int8"][1].boards[0].model_copy(update={"flash_bytes": 35_500, "ms": 3.9}),)}
    )
    assert (of("int8", compared(held)).flash, of("int8", compared(held)).latency) == (35_500, 3.9)


def test_front() -> None:
    assert {f.name for f in front(HELD)} == {"float", "int8", "pruned", "tiny", "wide"}


def test_equal_candidates_are_both_on_the_front() -> None:
    held = accounts({"float": ROWS["float"], "int8": ROWS["int8"]})
    held["again"] = held["int8"]
    assert {f.name for f in front(compared(held))} == {"float", "int8", "again"}


def test_four_recommendations() -> None:
    told = {r.kind: r for r in recommend(HELD)}
    assert {kind: r.name for kind, r in told.items()} == {
        "smallest": "pruned", "most accurate": "wide", "fastest": "pruned", "best trade-off": "pruned",
    }  # fmt: skip
    assert re.search(r"flash, 24,000 bytes, is the least without a significant loss, -0\.\d\d points .* inside the noise",
                     told["smallest"].reason)  # fmt: skip
    assert re.search(r"tiny has 11,000 bytes but loses (9|10)\.\d\d %\.$", told["smallest"].reason)
    assert re.search(r"latency, 3\.00 ms, is .* tiny has 1\.50 ms but loses", told["fastest"].reason)
    assert re.search(r"^9\d\.\d\d % is the highest accuracy, \+2\.\d\d points against the baseline: better \(p = 0.000\d+\)\.$",
                     told["most accurate"].reason)  # fmt: skip
    ratio = re.search(r", (0\.\d\d) of the baseline's", told["best trade-off"].reason)
    pruned, base = of("pruned"), of("float")
    mean = ((pruned.errors + 1) / (base.errors + 1) * 24 / 90 * 6.8 / 12 * 3 / 7) ** 0.25
    assert ratio and float(ratio[1]) == pytest.approx(mean, abs=0.005)
    assert all(r.reason.endswith(".") and r.reason.count(". ") == 0 for r in told.values())


def test_a_gain_inside_the_noise_is_called_that() -> None:
    held = compared(accounts({"float": ROWS["float"], "luck": (197, 91_000, 12_000, 7.1)}))
    told = {r.kind: r for r in recommend(held)}
    assert told["most accurate"].name == "luck" and "inside the noise" in told["most accurate"].reason
    assert told["smallest"].name == "float" and "the baseline itself" in told["smallest"].reason


def test_where_every_saving_costs_the_price_is_told() -> None:
    held = compared(accounts({"float": ROWS["float"], "tiny": ROWS["tiny"]}))
    told = {r.kind: r for r in recommend(held)}
    assert told["smallest"].name == told["fastest"].name == "tiny"
    assert re.search(r"nothing below the baseline's keeps its accuracy, -(9|10)\.\d\d points .*: worse", told["smallest"].reason)
    assert told["best trade-off"].name == "float"


def test_no_test_result_takes_part() -> None:
    """Other test results, and even test splits of another size: the same front, recommendations, goals and figures."""
    goal = parse("accuracy_drop<=1% then min flash")

    def chosen(test_seed: int) -> tuple:
        held = compared(accounts(test_seed=test_seed))
        rows = [tuple(f.value(m) for m in METRICS) for f in held]
        return rows, [f.name for f in front(held)], recommend(held), best(held, goal)

    assert chosen(0) == chosen(1) == chosen(2)
    assert not any("test" in field.name for field in (*fields(Seen), *fields(Figures)))


def test_goals() -> None:
    won = best(HELD, parse("accuracy_drop<=0.5% then min latency"))
    assert won.name == "pruned" and "it has the least latency (3.00 ms) of the 5 that meet accuracy_drop <= 0.50 %" in won.reason
    assert best(HELD, parse("accuracy_drop<=20% then min latency")).name == "tiny"
    assert best(HELD, parse("max accuracy")).name == "wide"
    assert best(HELD, parse("max accuracy"), parse_fit("flash=64KB,ram=16KB")).name == "int8"
    assert best(HELD, parse("flash<=36000")).name == "tiny", "without a wish, the best trade-off"


def test_of_a_tie_the_next_wish_decides() -> None:
    rows = {"float": ROWS["float"], "a": (200, 30_000, 6_000, 3.0), "b": (200, 30_000, 5_000, 4.0)}
    held = compared(accounts(rows))
    assert best(held, parse("min flash then min latency")).name == "a"
    assert best(held, parse("min flash then min ram")).name == "b"


def test_recommendations_within_limits() -> None:
    told = {r.kind: r.name for r in recommend(HELD, parse_fit("flash=33KB"))}
    assert told["most accurate"] == "pruned" and set(told.values()) <= {"pruned", "tiny"}


def test_a_goal_that_nobody_meets_names_the_nearest() -> None:
    with pytest.raises(CheckError) as raised:
        best(HELD, parse("accuracy_drop<=0.5% and flash<=20000 then min latency"))
    error = raised.value
    assert error.exit_code == 7 and error.what == "No candidate meets accuracy_drop <= 0.50 % and flash <= 20,000 bytes."
    first, *others = error.evidence.splitlines()
    assert first == "pruned: flash 24,000 bytes, 4,000 bytes over" and len(others) == 2
    with pytest.raises(CheckError) as raised:
        best(HELD, parse("accuracy>=99%"))
    assert re.match(r"wide: accuracy 92\.\d\d %, 6\.\d\d % under\n", raised.value.evidence)


TOO_BIG = OnBoard(board=BOARD, fits=False, overshoot="model does not fit some-board: it needs flash 9 of 5 bytes (4 too many).")


def test_what_does_not_fit_is_not_chosen() -> None:
    held = compared(accounts(pruned=TOO_BIG, float=TOO_BIG))
    assert "pruned" not in {f.name for f in front(held)} | {r.name for r in recommend(held)}
    assert {r.kind: r.name for r in recommend(held)}["smallest"] == "int8"
    worse = compared(accounts({"float": ROWS["float"], "tiny": ROWS["tiny"]}, float=TOO_BIG))
    assert {r.name for r in recommend(worse)} == {"tiny"}
    nothing = compared(accounts({"float": ROWS["float"], "int8": ROWS["int8"]}, float=TOO_BIG, int8=TOO_BIG))
    with pytest.raises(CheckError, match="No candidate fits the board") as raised:
        recommend(nothing)
    assert "it needs flash 9 of 5 bytes" in raised.value.evidence


def test_a_board_without_a_cycle_model() -> None:
    held = compared(accounts(ms=False))
    fastest = {r.kind: r for r in recommend(held)}["fastest"]
    assert fastest.name == "pruned" and "its macs, 30,000, is the least" in fastest.reason
    with pytest.raises(CheckError, match="The latency on this board is not known"):
        best(held, parse("min latency"))
    with pytest.raises(CheckError) as raised:
        best(held, parse("latency<=5ms"))
    assert "latency not known" in raised.value.evidence


REFUSED = {
    "no-baseline": (lambda: compared(accounts(), "dense"), "baseline 'dense' is not among"),
    "seeds": (lambda: compared({n: a[: 3 if n == "float" else 2] for n, a in accounts().items()}), "cannot be compared"),
    "board": (lambda: figures({n: [seen(x) for x in a] for n, a in accounts().items()}, "float", "other"), "not accounted on"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    ask, words = REFUSED[case]
    with pytest.raises(RequestError, match=words):
        ask()
