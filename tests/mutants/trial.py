"""One changed source tried by the tests of an operator, in a process of its own that is forked from one which has the cases
and the oracle's answers ready. The files stay as they are: the process takes the changed text in their place."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pytest
from elftools.elf.elffile import ELFFile

from mcuml import ops, render
from mutants.sites import Mutant
from ops import builds
from ops.harness import DSP, Case, Table

SECONDS = 60  # for one trial; a loop without an end counts as seen
KINDS = ("host", DSP)
REST = "the rest"  # no build of the cases, but the tests beside them
Test = Callable[[str, str], None]
COMMENT = re.compile(r"/\*.*?\*/|^ \*.*?$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Suite:
    """A test function of tests/ops and the names of those of its cases that count here."""

    test: Test
    names: tuple[str, ...]

    @property
    def table(self) -> Table:
        return self.test.table  # type: ignore[attr-defined]

    @property
    def cases(self) -> list[Case]:
        return [self.table.model(name) for name in self.names]


def prepare(suites: Sequence[Suite]) -> None:
    """Compute once what all trials share: each case's C, inputs and the oracle's answers."""
    for suite in suites:
        for case in suite.cases:
            assert case.expected and case.files


def attempt(mutant: Mutant | None, suites: Sequence[Suite], kind: str) -> tuple[str, str]:
    """What the cases of `suites` on `kind` ("host" or a core) say about the changed source; None: the source as it is.
    `kind` REST: the other tests of their files.

    ("killed", by what), ("survived", hash of the machine code), ("unused", "") when the generated C stays the same and
    ("invalid", why) when it does not compile."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        with os.fdopen(writer, "w") as pipe, suppress(BaseException):
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, 1)
            os.dup2(devnull, 2)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.alarm(SECONDS)
            json.dump(_try(mutant, suites, kind), pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    status = os.waitpid(child, 0)[1]
    if said:
        first, second = json.loads(said)
        return first, second
    assert mutant is not None, f"the unchanged source ends a trial with status {status}"
    return "killed", "no end" if os.WTERMSIG(status) == signal.SIGALRM else f"signal {os.WTERMSIG(status)}"


def _try(mutant: Mutant | None, suites: Sequence[Suite], kind: str) -> tuple[str, str]:
    before = [_code(case) for suite in suites for case in suite.cases]
    if mutant is not None:
        _install(mutant)
        for case in (case for suite in suites for case in suite.cases):
            for name in ("planned", "files"):
                del case.__dict__[name]
        try:
            if [_code(case) for suite in suites for case in suite.cases] == before:
                return "unused", ""
        except Exception as error:
            return "killed", f"{type(error).__name__} while it is compiled"
    if kind == REST:
        return _rest(suites)
    digest = hashlib.sha256()
    _watch(digest)
    for suite in suites:
        table = suite.table
        table.cases = {name: table.cases[name] for name in suite.names}
        try:
            table.build(kind)
        except AssertionError as error:
            return "invalid", str(error)[:300]
        for name in suite.names:
            try:
                suite.test(kind, name)
            except Exception as error:
                assert mutant is not None, f"{name} fails as it is: {error}"
                return "killed", f"{kind} {name}"
    return "survived", digest.hexdigest()


def _rest(suites: Sequence[Suite]) -> tuple[str, str]:
    """The tests beside those of tables, in the files that hold the suites."""

    class Plain:
        failed = ""

        def pytest_collection_modifyitems(self, items: list) -> None:
            items[:] = [item for item in items if not hasattr(getattr(item, "function", None), "table")]

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            self.failed = self.failed or (report.nodeid if report.failed else "")

    plain = Plain()
    files = sorted({inspect.getfile(sys.modules[suite.table._make.__module__]) for suite in suites})
    status = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *files], plugins=[plain])
    return ("killed", plain.failed) if status == pytest.ExitCode.TESTS_FAILED else ("survived", "")


def _code(case: Case) -> list[str]:
    """What the compiler sees of the case."""
    return [COMMENT.sub("", text) for text in case.files.values()]


def _install(mutant: Mutant) -> None:
    if mutant.path.suffix == ".py":
        module = sys.modules[".".join(mutant.path.with_suffix("").parts[1:])]
        exec(compile(mutant.mutated, str(mutant.path), "exec"), module.__dict__)
        ops._registry.cache_clear()
        return
    environment = render._environment()
    name = Path(*mutant.path.parts[1:]).as_posix()
    environment.loader = jinja2.ChoiceLoader([jinja2.DictLoader({name: mutant.mutated}), environment.loader])
    assert environment.cache is not None
    environment.cache.clear()


def _watch(digest: Any) -> None:
    """Let the code and constants of every library or image that is built from now on go into `digest`."""
    plain = builds._compile

    def compiled(command: Sequence[str], models: Any, folder: Path) -> None:
        plain(command, models, folder)
        with (folder / command[command.index("-o") + 1]).open("rb") as file:
            for section in ELFFile(file).iter_sections("SHT_PROGBITS"):
                if section["sh_flags"] & 2 and not section.name.startswith(".eh_frame"):  # SHF_ALLOC
                    digest.update(section.data())

    builds._compile = compiled
