"""Several subgraphs become one list of operators: control flow as marks around the operators of its branches, and named
variables as tensors that keep their bytes.

A branch works on its caller's tensors, so nothing is copied on the way in. WHILE's outputs are its loop variables.
A subgraph that is called from several places is copied to each of them, but what it remembers (variables, operators' states,
whether a CALL_ONCE has run) it remembers once, as in TFLite Micro."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mcuml.errors import ModelError
from mcuml.graph import ABSENT, Tensor
from mcuml.raw_model import RawModel, RawOperator, in_order, place

MAX_OPERATORS = 100_000  # subgraphs that call each other can multiply


def flatten(raw: RawModel) -> RawModel:
    """`raw` with its operators in an executable order and no calls of other subgraphs. Operators and tensors of the first
    subgraph keep their numbers; those of the others follow. Raises ModelError for calls that do not go together."""
    flat = _Flat(raw)
    here, handles = dict(enumerate(range(len(raw.tensors)))), dict[int, str]()
    for op in in_order(raw):
        flat.add(op, raw, here, handles, op.index)
    return replace(raw, tensors=tuple(flat.tensors), operators=tuple(flat.operators), others=())


class _Flat:
    """The list under construction."""

    def __init__(self, first: RawModel):
        self.models = (first, *first.others)
        self.tensors = list(first.tensors)
        self.operators: list[RawOperator] = []
        self._next = len(first.operators)
        self._states: dict[str, int] = {}  # of named variables: shared name -> tensor
        self._calls: list[int] = [0]  # the subgraphs that are being inlined, outermost first
        # By subgraph and number in it, for all copies: a variable's tensor, an operator's first copy, a CALL_ONCE's mark.
        self._variables: dict[tuple[int, int], int] = {}
        self._first: dict[tuple[int, int], int] = {}
        self._done: dict[tuple[int, int], int] = {}

    def add(self, op: RawOperator, model: RawModel, here: dict[int, int], handles: dict[int, str], index: int) -> None:
        """Append `op` of `model`. `here`: the model's tensor -> the list's; `handles`: its handle tensor -> variable's name."""
        inputs, outputs = self._here(op.inputs, model, here), self._here(op.outputs, model, here)
        if op.code == "IF":
            self._need(op, model, inputs, 1)
            self._emit("IF", inputs[:1], outputs, index)
            for branch, mark in (("then", "IF:else"), ("else", "IF:end")):
                results = self._call(int(op.options[f"{branch}_subgraph_index"]), inputs[1:], len(outputs), op, model)
                self._emit(mark, (inputs[0], *outputs, *results))
        elif op.code == "WHILE":
            self._need(op, model, inputs, 1)
            if len(inputs) != len(outputs) or ABSENT in inputs:
                raise self._error(op, model, f"it has {len(inputs)} inputs and {len(outputs)} outputs")
            self._emit("WHILE", inputs, outputs, index)
            condition = self._call(int(op.options["cond_subgraph_index"]), outputs, 1, op, model)
            self._emit("WHILE:test", condition)
            results = self._call(int(op.options["body_subgraph_index"]), outputs, len(outputs), op, model)
            self._emit("WHILE:end", (*outputs, *results))
        elif op.code == "CALL_ONCE":
            if (site := (self._calls[-1], op.index)) not in self._done:
                self._done[site] = self._tensor(Tensor(f"call_once_{index}", "uint8", (1,), variable=True))
            done = self._done[site]
            self._emit("CALL_ONCE", (done,), (), index)
            self._call(int(op.options["init_subgraph_index"]), (), 0, op, model)
            self._emit("CALL_ONCE:end", (done,))
        elif op.code == "VAR_HANDLE":
            self._need(op, model, outputs, 1)
            handles[op.outputs[0]] = str(op.options["shared_name"])
        elif op.code in ("READ_VARIABLE", "ASSIGN_VARIABLE"):
            self._need(op, model, (*inputs, *outputs), 2)
            value = inputs[1] if op.code == "ASSIGN_VARIABLE" else outputs[0]
            state = self._state(handles.get(op.inputs[0]), self.tensors[value], op, model)
            self._emit(op.code, (state, *inputs[1:]), outputs, index)
        else:
            first = self._first.setdefault((self._calls[-1], op.index), index)
            self.operators.append(replace(op, inputs=inputs, outputs=outputs, index=index, first=first))

    def _call(self, number: int, arguments: Sequence[int], results: int, op: RawOperator, model: RawModel) -> tuple[int, ...]:
        """Append the operators of subgraph `number` on `arguments`; its `results` outputs."""
        if not 0 < number < len(self.models):
            raise self._error(op, model, f"it names subgraph {number} of {len(self.models)}")
        if number in self._calls:
            raise self._error(op, model, f"subgraph {number} calls itself")
        called = self.models[number]
        if len(called.inputs) != len(arguments) or (results and len(called.outputs) != results):
            raise self._error(
                op, model, f"subgraph {number} takes {len(called.inputs)} tensors and gives {len(called.outputs)}, "
                f"not {len(arguments)} and {results}"
            )  # fmt: skip
        self._calls.append(number)
        here: dict[int, int] = {}
        handles: dict[int, str] = {}
        for parameter, argument in zip(called.inputs, arguments, strict=True):
            here[parameter] = self._bound(called.tensors[parameter], argument, op, model)
        for inner in in_order(called):
            self.add(inner, called, here, handles, self._number())
        found = self._here(called.outputs[:results], called, here)
        self._calls.pop()
        return found

    def _bound(self, parameter: Tensor, argument: int, op: RawOperator, model: RawModel) -> int:
        """The tensor that stands for `parameter`: the argument, or a view of it where shape or quantization differ."""
        given = self.tensors[argument]
        if (given.dtype, given.elements) != (parameter.dtype, parameter.elements):
            raise self._error(
                op, model, f"'{given.name}' is {given.dtype}{list(given.shape)}, "
                f"but '{parameter.name}' is {parameter.dtype}{list(parameter.shape)}"
            )  # fmt: skip
        if given.shape == parameter.shape and _same_quantization(given, parameter):
            return argument
        seen = self._tensor(replace(parameter, data=None, variable=False))
        self._emit("RESHAPE", (argument,), (seen,), options={"new_shape": parameter.shape})
        return seen

    def _state(self, name: str | None, value: Tensor, op: RawOperator, model: RawModel) -> int:
        """The tensor of the named variable, which holds tensors like `value`."""
        if name is None:
            raise self._error(op, model, "its variable does not come from a VAR_HANDLE beside it")
        if name not in self._states:
            self._states[name] = self._tensor(replace(value, name=name, data=None, variable=True))
        held = self.tensors[self._states[name]]
        if (held.dtype, held.elements) != (value.dtype, value.elements):
            raise self._error(
                op, model, f"variable '{name}' holds {held.dtype}{list(held.shape)}, not {value.dtype}{list(value.shape)}"
            )  # fmt: skip
        return self._states[name]

    def _here(self, tensors: Sequence[int], model: RawModel, here: dict[int, int]) -> tuple[int, ...]:
        """The list's numbers of the tensors of the innermost subgraph, `model`, which are added on their first use."""
        for t in tensors:
            if t != ABSENT and t not in here:
                site = self._calls[-1], t
                here[t] = self._variables[site] if site in self._variables else self._tensor(model.tensors[t])
                if model.tensors[t].variable:
                    self._variables[site] = here[t]
        return tuple(ABSENT if t == ABSENT else here[t] for t in tensors)

    def _tensor(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _number(self) -> int:
        self._next += 1
        if self._next > MAX_OPERATORS:
            raise ModelError(f"'{self.models[0].name}' has more than {MAX_OPERATORS} operators once its calls are followed.")
        return self._next - 1

    def _emit(
        self, code: str, inputs: Sequence[int], outputs: Sequence[int] = (), index: int | None = None, options: dict | None = None
    ) -> None:
        number = self._number() if index is None else index
        self.operators.append(RawOperator(number, code, "", options or {}, tuple(inputs), tuple(outputs)))

    def _need(self, op: RawOperator, model: RawModel, operands: Sequence[int], least: int) -> None:
        if len(operands) < least or ABSENT in operands[:least]:
            raise self._error(op, model, f"it needs at least {least} operand{'s' if least > 1 else ''}")

    def _error(self, op: RawOperator, model: RawModel, rule: str) -> ModelError:
        return ModelError(
            f"'{self.models[0].name}': {place(op, model)}: {rule}.", "", "Convert the model again; the file may be damaged."
        )


def _same_quantization(a: Tensor, b: Tensor) -> bool:
    if a.quant is None or b.quant is None:
        return a.quant is b.quant
    return np.array_equal(a.quant.scale, b.quant.scale) and np.array_equal(a.quant.zero_point, b.quant.zero_point)
