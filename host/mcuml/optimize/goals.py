"""Goals as text: "accuracy_drop<=0.5% then min latency", "flash=64KB,ram=16KB" become conditions and wishes."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from mcuml.errors import RequestError

_BYTES = {"": 1.0, "b": 1.0, "k": 1024.0, "kb": 1024.0, "kib": 1024.0, "m": 2.0**20, "mb": 2.0**20, "mib": 2.0**20}
_COUNT = {"": 1.0, "k": 1e3, "m": 1e6}


@dataclass(frozen=True)
class Metric:
    """What a goal can name. `units`: each unit, in lower case, in terms of the metric's own; "" where none is needed. `shown`:
    how a value is told. `step`: one of it counts as far off as a condition missed by all of its limit, for metrics whose
    limits may be 0."""

    meaning: str
    units: Mapping[str, float]
    written: str
    shown: str
    step: float | None = None


METRICS = {
    "accuracy": Metric("on the validation data, mean over seeds", {"%": 1.0}, "%", "{:.2f} %", 1.0),
    "accuracy_drop": Metric("points below the baseline, mean over seeds", {"%": 1.0}, "%", "{:.2f} %", 1.0),
    "flash": Metric("code and weights as linked", _BYTES, "B, KB, MB", "{:,.0f} bytes"),
    "ram": Metric("static memory with the arena, and the stack", _BYTES, "B, KB, MB", "{:,.0f} bytes"),
    "latency": Metric("of one inference", {"us": 1e-3, "ms": 1.0, "s": 1e3}, "us, ms, s", "{:,.2f} ms"),
    "cycles": Metric("of one inference, memory without wait states", _COUNT, "none, k, M", "{:,.0f}"),
    "macs": Metric("multiply-accumulates of one inference", _COUNT, "none, k, M", "{:,.0f}"),
    "size": Metric("of the .tflite file", _BYTES, "B, KB, MB", "{:,.0f} bytes"),
    "gzip": Metric("of the .tflite file, gzip -9", _BYTES, "B, KB, MB", "{:,.0f} bytes"),
}
OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
FORM = "accuracy_drop<=0.5% and flash<=64KB then min latency then max accuracy"
FIT_FORM = "flash=64KB,ram=16KB"
_CONDITION = re.compile(r"([\w ]*?)\s*(<=|>=|<|>)\s*(\S.*)?")
_WISH = re.compile(r"(\w+)\s+(\w+)")
_VALUE = re.compile(r"(\d+\.?\d*|\.\d+)\s*([A-Za-z%]*)")


@dataclass(frozen=True)
class Condition:
    """A limit, in the metric's own unit: bytes, ms, percent (of accuracy_drop: points) or a count."""

    metric: str
    sign: str
    limit: float

    def holds(self, value: float | None) -> bool:
        """What is not known does not hold."""
        return value is not None and OPERATORS[self.sign](value, self.limit)

    def missed_by(self, value: float) -> float:
        """How far `value` is beyond the limit, relative to it."""
        return max(0.0, (value - self.limit) * (1 if "<" in self.sign else -1)) / (
            METRICS[self.metric].step or max(1.0, self.limit)
        )

    @property
    def text(self) -> str:
        return f"{self.metric} {self.sign} {METRICS[self.metric].shown.format(self.limit)}"


@dataclass(frozen=True)
class Wish:
    """`least` is better, or most; of candidates that meet all conditions."""

    metric: str
    least: bool


@dataclass(frozen=True)
class Goal:
    """`conditions` that a candidate must meet; of those that do, the first by `wishes`, each deciding where those before it
    leave a tie."""

    conditions: tuple[Condition, ...] = ()
    wishes: tuple[Wish, ...] = ()


def parse(text: str) -> Goal:
    """The goal that `text` says: conditions joined by "and" or ",", then "min" or "max" of metrics. Either may be left out.
    Raises RequestError, which says what is possible."""
    first, *rest = re.split(r"\bthen\b", text)
    conditions: tuple[Condition, ...] = ()
    if re.match(r"\s*(min|max)\b", first):
        rest.insert(0, first)
    else:
        conditions = tuple(_condition(part, text) for part in re.split(r"\band\b|,", first))
    return Goal(conditions, tuple(_wish(part.strip(), text) for part in rest))


def parse_fit(text: str) -> tuple[Condition, ...]:
    """The limits of `--fit`. Raises RequestError."""
    limits = []
    for part in text.split(","):
        name, equals, value = (p.strip() for p in part.partition("="))
        if name not in ("flash", "ram") or not equals:
            raise RequestError(f"--fit is '{text}': '{part.strip()}' is no limit.", "", f"Limit flash, ram or both: {FIT_FORM}.")
        limits.append(Condition(name, "<=", _value(value, name, text, FIT_FORM)))
    return tuple(limits)


def _condition(part: str, text: str) -> Condition:
    match = _CONDITION.fullmatch(part.strip())
    if not match:
        _refuse(text, f"'{part.strip()}' is no condition." if part.strip() else "a condition is empty.", FORM)
    name, sign, value = match.groups()
    return Condition(_metric(name, text), sign, _value(value or "", name, text, FORM))


def _wish(part: str, text: str) -> Wish:
    match = _WISH.fullmatch(part)
    if not match or match[1] not in ("min", "max"):
        _refuse(text, f"'{part}' is no wish: after 'then' comes min or max and one metric.", FORM)
    return Wish(_metric(match[2], text), match[1] == "min")


def _metric(name: str, text: str) -> str:
    if name not in METRICS:
        known = "; ".join(f"{n} ({m.meaning})" for n, m in METRICS.items())
        raise RequestError(f"'{text}': there is no metric '{name}'.", f"There are: {known}.", f"Write it like this: {FORM}")
    return name


def _value(value: str, metric: str, text: str, form: str) -> float:
    match, units = _VALUE.fullmatch(value), METRICS[metric].units
    if not match or match[2].lower() not in units:
        _refuse(text, f"'{value}' is no value of {metric}; its units: {METRICS[metric].written}.", form)
    return float(match[1]) * units[match[2].lower()]


def _refuse(text: str, what: str, form: str) -> NoReturn:
    raise RequestError(f"'{text}': {what}", "KB are 1,024 bytes.", f"Write it like this: {form}")
