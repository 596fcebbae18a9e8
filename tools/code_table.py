"""The table of data/code_sizes.json: made of what cores measured, joined with an older one, and written one entry a line."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from mcuml.code_size import Demand


@dataclass(frozen=True)
class Model:
    """A model to measure: what it demands, and its C by file. whole: users have such models; it is no test of an operator."""

    name: str
    demand: Demand
    files: Mapping[str, str]
    whole: bool = True


def tabulate(measured: dict[str, tuple[dict, dict]]) -> dict:
    """All cores' figures; of each function one entry with a column for each core."""
    cores = list(measured)
    functions: dict[str, dict[tuple, dict]] = {}
    for column, (core, (_, found)) in enumerate(measured.items()):
        for family, entries in found.items():
            for key, e in entries.items():
                entry = functions.setdefault(family, {}).setdefault(
                    key, {**e, "size": [None] * len(cores), "needs": {}, "code": {}}
                )
                entry["size"][column] = e["size"]
                if e["needs"]:
                    entry["needs"][core] = " ".join(e["needs"])
                if core.startswith("gcc"):  # clang keeps equal functions apart
                    entry["code"][core] = e["code"]
    return {
        "cores": cores,
        "figures": {core: figures for core, (figures, _) in measured.items()},
        "functions": {family: sorted(entries.values(), key=lambda e: (e["text"], str(e["signature"])))
                      for family, entries in sorted(functions.items())},
    }  # fmt: skip


def lacking(models: list[Model], table: dict, columns: set[str]) -> list[Model]:
    """The models with a function that the table lacks in one of `columns`, as it is now or with these constants."""
    if not columns <= set(table["cores"]):
        return models
    places = [table["cores"].index(name) for name in columns]
    held = {
        (e["text"], tuple(e["signature"]))
        for family in table["functions"].values()
        for e in family
        if all(e["size"][n] is not None for n in places)
    }
    return [m for m in models if any(f.stands and (f.text, f.signature) not in held for f in m.demand.functions)]


def thinned(table: dict, models: list[Model]) -> dict:
    """`table` without the functions that none of `models` has."""
    current = {f.text for m in models for f in m.demand.functions}
    kept = {family: [e for e in entries if e["text"] in current] for family, entries in table["functions"].items()}
    return {**table, "functions": {family: entries for family, entries in kept.items() if entries}}


def merged(old: dict, new: dict) -> dict:
    """`new` with what only `old` has: functions, columns of cores, and the fit of the calls where it has none."""
    cores = [*old["cores"], *(c for c in new["cores"] if c not in old["cores"])]
    functions: dict[str, dict[tuple, dict]] = {}
    for table in (old, new):
        for family, entries in table["functions"].items():
            for e in entries:
                key = (e["text"], tuple(e["signature"]))
                there = functions.setdefault(family, {}).setdefault(
                    key, {**e, "size": [None] * len(cores), "needs": {}, "code": {}}
                )
                for core, size in zip(table["cores"], e["size"], strict=True):
                    if size is not None:
                        there["size"][cores.index(core)] = size
                there["needs"].update(e["needs"])
                there["code"].update(e["code"])
    figures = {}
    for core in cores:
        before, after = old["figures"].get(core, {}), new["figures"].get(core, {})
        figures[core] = {
            **after,
            **before,
            **{k: after[k] for k in ("base", "ram", "compiler", "firmware", "invoke") if k in after},
        }
        figures[core]["libraries"] = {**before.get("libraries", {}), **after.get("libraries", {})}
    ordered = {f: sorted(e.values(), key=lambda e: (e["text"], str(e["signature"]))) for f, e in sorted(functions.items())}
    return {"cores": cores, "figures": figures, "functions": ordered}


def compact(table: dict) -> str:
    """JSON with one line per core's figures, library symbol and function."""

    def block(held: dict, inner) -> str:
        return "{\n" + ",\n".join(f" {json.dumps(k)}: {inner(v)}" for k, v in held.items()) + "\n}"

    def lines(entries: list) -> str:
        return "[\n" + ",\n".join(f"  {json.dumps(e)}" for e in entries) + "\n ]"

    parts = {"cores": json.dumps(table["cores"]), "figures": block(table["figures"], json.dumps),
             "functions": block(table["functions"], lines)}  # fmt: skip
    return "{\n" + ",\n".join(f"{json.dumps(k)}: {v}" for k, v in parts.items()) + "\n}\n"
