"""Which calls of TFLite Micro's MicroMutableOpResolver register the operators of a model: asked of the library's own header, so
that every version of the library is served as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mcuml.errors import ModelError
from mcuml.raw_model import RawModel, place

HEADER = "tensorflow/lite/micro/micro_mutable_op_resolver.h"
# One registering member function and its body: it ends at the first brace at the depth of a class's members.
_MEMBER = re.compile(r"^  TfLiteStatus (Add\w+)\((.*?)^  \}", re.MULTILINE | re.DOTALL)
_BUILTIN = re.compile(r"\bAddBuiltin\(\s*(?:tflite::)?BuiltinOperator_(\w+)")
_CUSTOM = re.compile(r'\bAddCustom\(\s*"([^"]+)"')


def offered(header: str) -> dict[str, str]:
    """The operators that the resolver of this header's text can register: RawOperator.key -> the member function's name."""
    found: dict[str, str] = {}
    for name, body in _MEMBER.findall(header):
        for pattern, form in ((_BUILTIN, "{}"), (_CUSTOM, "CUSTOM:{}")):
            match = pattern.search(body)
            if match:
                found.setdefault(form.format(match[1]), name)
    return found


def calls(raw: RawModel, calls_by_key: Mapping[str, str], library: str) -> tuple[str, ...]:
    """The member functions to call for `raw`, its subgraphs too, each once, in the order of first use. Raises ModelError naming
    every operator that the resolver of `library` (its name and version) lacks."""
    graphs = (raw, *raw.others)
    missing = [place(op, graph) for graph in graphs for op in graph.operators if op.key not in calls_by_key]
    if missing:
        more = [f"and {len(missing) - 10} more"] if len(missing) > 10 else []
        raise ModelError(
            f"'{raw.name}' uses {'an operator' if len(missing) == 1 else f'{len(missing)} operators'} that {library} does not "
            f"have: {'; '.join([*missing[:10], *more])}.",
            f"Its resolver registers {len(calls_by_key)} operators: {', '.join(sorted(calls_by_key))}.",
            "Run it with --runtime aot, or name a newer TensorFlow Lite Micro in MCUML_TFLM (docs/TFLM.md).",
        )
    return tuple(dict.fromkeys(calls_by_key[op.key] for graph in graphs for op in graph.operators))
