"""Goals: what each text means, and what is said of one that means nothing."""

import pytest

from mcuml.errors import RequestError
from mcuml.optimize.goals import METRICS, Condition, Goal, Wish, parse, parse_fit

DROP = Condition("accuracy_drop", "<=", 0.5)
MEANT = {
    "accuracy_drop<=0.5% then min latency": Goal((DROP,), (Wish("latency", True),)),
    "accuracy_drop <= 0.5 % and flash<64KB then min latency then max accuracy": Goal(
        (DROP, Condition("flash", "<", 65536)), (Wish("latency", True), Wish("accuracy", False))
    ),
    "ram<=16kb, size<=1MB,gzip<=7300": Goal(
        (Condition("ram", "<=", 16384), Condition("size", "<=", 1 << 20), Condition("gzip", "<=", 7300))
    ),
    "flash<=2k and ram<=1MiB": Goal((Condition("flash", "<=", 2048), Condition("ram", "<=", 1 << 20))),
    "min flash": Goal((), (Wish("flash", True),)),
    "max accuracy then min gzip": Goal((), (Wish("accuracy", False), Wish("gzip", True))),
    "accuracy>=89.5%": Goal((Condition("accuracy", ">=", 89.5),)),
    "latency<=.5s and cycles>1.5M": Goal((Condition("latency", "<=", 500), Condition("cycles", ">", 1.5e6))),
    "latency<800us and macs<=90k": Goal((Condition("latency", "<", 0.8), Condition("macs", "<=", 90e3))),
}


@pytest.mark.parametrize("text", MEANT)
def test_meaning(text: str) -> None:
    got = parse(text)
    assert [(c.metric, c.sign) for c in got.conditions] == [(c.metric, c.sign) for c in MEANT[text].conditions]
    assert [c.limit for c in got.conditions] == pytest.approx([c.limit for c in MEANT[text].conditions])
    assert got.wishes == MEANT[text].wishes


def test_fit() -> None:
    flash, ram = Condition("flash", "<=", 65536), Condition("ram", "<=", 16384)
    assert parse_fit("flash=64KB,ram=16KB") == (flash, ram) and parse_fit(" ram = 16384 ") == (ram,)


REFUSED = {  # text -> what is said of it
    "speed<=3ms": "there is no metric 'speed'",
    "then min speed": "a condition is empty",
    "min speed": "there is no metric 'speed'",
    "accuracy_drop<=0.5": "'0.5' is no value of accuracy_drop; its units: %",
    "latency<=5": "'5' is no value of latency; its units: us, ms, s",
    "flash<=64ms": "'64ms' is no value of flash; its units: B, KB, MB",
    "flash<=": "'' is no value of flash",
    "flash<=-1KB": "'-1KB' is no value of flash",
    "flash=64KB": "'flash=64KB' is no condition",
    "flash<=64KB and": "a condition is empty",
    "": "a condition is empty",
    "flash<=64KB then latency": "'latency' is no wish",
    "flash<=64KB then least latency": "'least latency' is no wish",
    "flash<=64KB then": "'' is no wish",
    "flash<=64KB min latency": "'64KB min latency' is no value of flash",
}


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(RequestError) as raised:
        parse(text)
    assert REFUSED[text] in raised.value.what and "accuracy_drop<=0.5% and flash<=64KB" in raised.value.try_next
    if "no metric" in raised.value.what:
        assert all(name in raised.value.evidence for name in METRICS)


@pytest.mark.parametrize("text", ["flash", "flash<=64KB", "latency=5ms", "", "flash=64KB,", "flash=x"])
def test_refused_limits(text: str) -> None:
    with pytest.raises(RequestError) as raised:
        parse_fit(text)
    assert "flash=64KB,ram=16KB" in raised.value.try_next and text in raised.value.what


@pytest.mark.parametrize(
    ("sign", "value", "holds"),
    [("<=", 5, True), ("<", 5, False), (">=", 5, True), (">", 5, False), ("<", 4, True), (">", 6, True), ("<=", 6, False)],
)
def test_limits_hold(sign: str, value: float, holds: bool) -> None:
    condition = Condition("flash", sign, 5)
    assert condition.holds(value) == holds and not condition.holds(None)


def test_misses_are_relative_but_for_percent() -> None:
    assert Condition("flash", "<=", 1000).missed_by(1500) == 0.5 and Condition("flash", "<=", 1000).missed_by(900) == 0
    assert Condition("accuracy_drop", "<=", 0).missed_by(0.25) == 0.25
    assert Condition("accuracy", ">=", 90).missed_by(88) == 2
