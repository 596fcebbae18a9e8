"""data/code_sizes.json: what is measured again, what is kept and what leaves the table."""

from __future__ import annotations

import json
import sys

import pytest

from commandline import ROOT
from mcuml.code_size import Demand, Function

sys.path.insert(0, str(ROOT / "tools"))
from code_table import Model, compact, lacking, merged, tabulate, thinned
from elf_functions import describes

FIGURES = {"compiler": "cc 1", "firmware": "f", "base": 100, "ram": 10, "invoke": [1, 2], "per_letter": 1.0, "libraries": {}}


def entry(text: str, size: int, signature: tuple = ()) -> dict:
    return {"text": text, "signature": list(signature), "length": 5, "size": size, "needs": [], "code": text}


def column(*entries: dict, **figures) -> tuple[dict, dict]:
    return {**FIGURES, **figures}, {"gemm": {(e["text"], tuple(e["signature"])): e for e in entries}}


def model(name: str, *texts: str, signature: tuple = (), stands: bool = True) -> Model:
    functions = tuple(Function("gemm_1", text, signature, 5, stands) for text in texts)
    return Model(name, Demand(0, 0, functions, (0, 0, 0), 0, 0, 0), {})


OLD = tabulate({"gcc m0": column(entry("a", 8), entry("b", 12)), "zig m0": column(entry("a", 6), entry("b", 10))})
LACKING = {
    "all-known": (model("m", "a", "b"), {"gcc m0", "zig m0"}, False),
    "new-text": (model("m", "a", "c"), {"gcc m0"}, True),
    "other-constants": (model("m", "a", signature=(3,)), {"gcc m0"}, True),
    "new-but-inlined": (model("m", "c", stands=False), {"gcc m0"}, False),
    "new-core": (model("m", "a"), {"gcc m0", "gcc m4"}, True),
}


@pytest.mark.parametrize("name", LACKING)
def test_a_model_is_measured_if_the_table_lacks_a_function_of_it(name: str) -> None:
    wanted, columns, measured = LACKING[name]
    assert lacking([wanted], OLD, columns) == ([wanted] if measured else [])


def test_a_function_that_one_compiler_measured_is_lacking_for_the_other() -> None:
    grown = merged(OLD, tabulate({"gcc m0": column(entry("c", 20))}))
    assert lacking([model("m", "c")], grown, {"gcc m0"}) == [] != lacking([model("m", "c")], grown, {"zig m0"})


def test_new_figures_join_the_old_ones() -> None:
    new = {"gcc m0": column(entry("b", 16), entry("c", 20), base=120, firmware="g")}
    del new["gcc m0"][0]["invoke"]  # as where few models were measured
    grown = merged(OLD, tabulate(new))
    sizes = {e["text"]: e["size"] for e in grown["functions"]["gemm"]}
    assert sizes == {"a": [8, 6], "b": [16, 10], "c": [20, None]}
    figures = grown["figures"]["gcc m0"]
    assert (figures["base"], figures["firmware"]) == (120, "g")
    assert figures["invoke"] == FIGURES["invoke"]
    assert merged(OLD, tabulate({"gcc m0": column(invoke=[9, 9])}))["figures"]["gcc m0"]["invoke"] == [9, 9]
    assert grown["figures"]["zig m0"] == FIGURES


def test_what_no_model_has_leaves_the_table() -> None:
    thin = thinned(OLD, [model("m", "b")])
    assert [e["text"] for e in thin["functions"]["gemm"]] == ["b"]
    assert thinned(OLD, [])["functions"] == {}


def test_one_entry_is_one_line_of_json() -> None:
    text = compact(OLD)
    assert json.loads(text) == OLD and sum('"text"' in line for line in text.splitlines()) == 2


DESCRIBES = {
    ".rodata.str1.4": True, ".rodata.model_invoke.str1.1": True, ".rodata.model_input_info": True, ".text.strip_s8": False,
    ".rodata.strides": False, ".rodata.cst4": False, ".text.model_input": False,
}  # fmt: skip


@pytest.mark.parametrize("section", DESCRIBES)
def test_strings_are_no_code(section: str) -> None:
    assert describes(section) == DESCRIBES[section]
