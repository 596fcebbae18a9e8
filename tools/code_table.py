"""The table of data/code_sizes.json: made of what cores measured, joined with an older one, and written one entry a line."""

import json

from mcuml.code_size import Demand


def tabulate(measured: dict[str, tuple[dict, dict]]) -> dict:
    """All cores' figures; of each function one entry with a column for each core."""
    cores = list(measured)
    functions: dict[str, dict[tuple, dict]] = {}
    for column, (core, (_, found)) in enumerate(measured.items()):
        bodies = [e["code"] for family in found.values() for e in family.values()]
        for family, entries in found.items():
            for key, e in entries.items():
                entry = functions.setdefault(family, {}).setdefault(
                    key, {**e, "size": [None] * len(cores), "needs": {}, "code": {}}
                )
                entry["size"][column] = e["size"]
                if e["needs"]:
                    entry["needs"][core] = " ".join(e["needs"])
                if bodies.count(e["code"]) > 1 and core.startswith("gcc"):
                    entry["code"][core] = e["code"]
    return {
        "cores": cores,
        "figures": {core: figures for core, (figures, _) in measured.items()},
        "functions": {family: sorted(entries.values(), key=lambda e: (e["text"], str(e["signature"])))
                      for family, entries in sorted(functions.items())},
    }  # fmt: skip


def unmeasured(models: list[tuple[Demand, str, str]], table: dict) -> list[tuple[Demand, str, str]]:
    """The models with a function that the table lacks, as it is now or with these constants."""
    held = {(e["text"], tuple(e["signature"])) for family in table["functions"].values() for e in family}
    return [m for m in models if any(f.stands and (f.text, f.signature) not in held for f in m[0].functions)]


def merged(old: dict, new: dict) -> dict:
    """`new` with what only `old` has: functions, columns of cores, and the fit of the calls, for which few models are too few."""
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
        figures[core] = {**after, **before, **{k: after[k] for k in ("base", "ram", "compiler") if k in after}}
        figures[core]["libraries"] = {**before.get("libraries", {}), **after.get("libraries", {})}
    ordered = {f: sorted(e.values(), key=lambda e: (e["text"], str(e["signature"]))) for f, e in sorted(functions.items())}
    return {"cores": cores, "figures": figures, "functions": ordered}


def without(table: dict, compiler: str) -> dict:
    """`table` without the columns of `compiler`."""
    keep = [n for n, core in enumerate(table["cores"]) if not core.startswith(compiler)]
    cores = [table["cores"][n] for n in keep]

    def cut(e: dict) -> dict:
        return {
            **e,
            "size": [e["size"][n] for n in keep],
            **{k: {c: v for c, v in e[k].items() if c in cores} for k in ("needs", "code")},
        }

    return {
        "cores": cores,
        "figures": {core: table["figures"][core] for core in cores},
        "functions": {family: [cut(e) for e in entries] for family, entries in table["functions"].items()},
    }


def compact(table: dict) -> str:
    """JSON with one line per core's figures, library symbol and function."""

    def block(held: dict, inner) -> str:
        return "{\n" + ",\n".join(f" {json.dumps(k)}: {inner(v)}" for k, v in held.items()) + "\n}"

    def lines(entries: list) -> str:
        return "[\n" + ",\n".join(f"  {json.dumps(e)}" for e in entries) + "\n ]"

    parts = {"cores": json.dumps(table["cores"]), "figures": block(table["figures"], json.dumps),
             "functions": block(table["functions"], lines)}  # fmt: skip
    return "{\n" + ",\n".join(f"{json.dumps(k)}: {v}" for k, v in parts.items()) + "\n}\n"
