"""The procedure of `mcuml optimize`: the work of all recipes and seeds, each piece done once, by worker processes."""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import queue
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcuml import __version__
from mcuml.bench import Oracle
from mcuml.errors import CheckError, RequestError, UserError
from mcuml.optimize import data, work
from mcuml.optimize.accounting import Account, load_boards
from mcuml.optimize.recipe import Locked, Recipe
from mcuml.optimize.steps import Step
from mcuml.optimize.store import Store
from mcuml.optimize.tree import Chain, chain, key
from mcuml.optimize.work import Accounting, Shared, Stage

LOG, RESULTS = "tensorflow.log", "results.sqlite"
PACKAGES = ("tensorflow", "tf_keras", "tensorflow-model-optimization", "numpy")
Progress = Callable[[str, float, float], None]  # progress(sentence, pieces of work done, pieces in all)


@dataclass(frozen=True)
class Request:
    """What to optimize. `recipes`: the first is the baseline, which the others are compared with. `before`: steps that run ahead
    of every recipe, none for the file's own weights. `boards`: names or files; the first is the one to choose for.
    `jobs`: worker processes. `locked`: the hashes that model and data must have. `paper`: whether the
    baseline's size in the paper's accounting is asked for."""

    model: Path
    data: str
    out: Path
    recipes: tuple[Recipe, ...]
    boards: tuple[str, ...]
    before: tuple[Step, ...] = ()
    locked: Locked = field(default_factory=Locked)
    pixels: str = "0..1"
    objective: str = "balanced"
    seeds: int = 1
    jobs: int = 1
    batch: int = 64
    oracle: Oracle | None = None
    paper: bool = False


@dataclass(frozen=True)
class Candidate:
    """One recipe of one seed, done: `account` of the file `tflite`, exported from the tf_keras model `keras`."""

    recipe: Recipe
    seed: int
    account: Account
    tflite: Path
    keras: Path


@dataclass(frozen=True)
class Failure:
    """A recipe of one seed that did not come to its end, and why."""

    recipe: Recipe
    seed: int
    error: UserError


@dataclass(frozen=True)
class Outcome:
    """All that came of a request. `candidates`: in the order of the recipes, seeds ascending. `samples`: of training, validation
    and test. `warnings`: doubts about the data. `reused`: how many accounts an earlier run had made. `paper_bytes`: of the
    baseline as .h5 with Adam's state."""

    candidates: tuple[Candidate, ...]
    failures: tuple[Failure, ...]
    versions: dict[str, str]
    model_sha256: str
    data_sha256: str
    data_name: str
    samples: tuple[int, int, int]
    reused: int
    warnings: tuple[str, ...] = ()
    paper_bytes: int | None = None


def optimize(request: Request, progress: Progress) -> Outcome:
    """Run every recipe with every seed. What an earlier run with the same `out` has finished is taken over. A step that fails
    takes along the recipes that need it, no others; when none is left its error is raised. Raises RequestError."""
    boards = key(*map(str, load_boards(request.boards)))  # before any training: one may be unknown
    folder = request.out / "work"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"Cannot use {request.out}.", error.strerror or str(error), "Give another folder by -o.") from error
    versions = _versions()
    with _workers(request.jobs, folder / LOG) as (pool, reports):
        progress("read the model", 0, 1)
        opened = _result(_submit(pool, work.open_model, request.model, folder, key(versions)))
        progress("read the data", 0, 1)
        found = data.load(request.data, opened.shape, opened.classes, request.pixels)
        _check_locked(request.locked, request.model, opened.sha256, request.data, found.sha256)
        samples = (len(found.train), len(found.validation), len(found.test))
        shared = Shared(request.data, request.pixels, opened.shape, opened.classes, found.sha256, request.batch, boards)
        name, warnings = found.name, found.warnings
        del found  # the workers have their own
        chains = [
            chain(
                recipe,
                seed,
                request.before,
                opened.root,
                shared,
                request.boards,
                request.objective,
                request.oracle,
            )
            for recipe in request.recipes
            for seed in range(request.seeds)
        ]
        store = Store(request.out / RESULTS)
        try:
            accounts, errors, reused = _Run(chains, shared, pool, reports, store, request.jobs + 1, progress).all()
        finally:
            store.close()
        paper = _result(_submit(pool, work.paper_bytes, chains[0].keras)) if request.paper else None
    if not accounts:
        raise next(iter(errors.values()))
    candidates = (
        Candidate(c.recipe, c.seed, accounts[c.accounting.key], c.accounting.source, c.keras)
        for c in chains
        if c.accounting.key in accounts
    )
    failures = (Failure(c.recipe, c.seed, errors[c.accounting.key]) for c in chains if c.accounting.key in errors)
    return Outcome(
        tuple(candidates), tuple(failures), versions, opened.sha256, shared.data_sha256, name, samples, reused, warnings, paper
    )  # fmt: skip


def _check_locked(locked: Locked, model: Path, model_sha256: str, source: str, data_sha256: str) -> None:
    for name, found, expected in ((model, model_sha256, locked.model_sha256), (source, data_sha256, locked.data_sha256)):
        if expected and found != expected:
            raise RequestError(
                f"{name} is not what the lock file was made with.",
                f"Its sha256 is {found[:16]}..., expected was {expected[:16]}....",
                "Give the same model and data, or take the [locked] table out of the file to run its recipes on others.",
            )


class _Run:
    """The work of `chains`, given to the pool when the file is there that it starts from, and no more than `ahead` at a time, so
    that the order of the chains decides: recipes then come to their ends one by one, not all at the last."""

    def __init__(
        self,
        chains: Sequence[Chain],
        shared: Shared,
        pool: ProcessPoolExecutor,
        reports: Any,
        store: Store,
        ahead: int,
        progress: Progress,
    ):
        self.shared, self.pool, self.reports, self.store, self.progress = shared, pool, reports, store, progress
        self.chain_of = {c.accounting.key: c for c in chains}
        self.accounts = {k: found for k, c in self.chain_of.items() if (found := store.get(k)) is not None and _there(c, found)}
        self.reused = len(self.accounts)
        self.open: dict[str, Stage | Accounting] = {}  # work to do, in the order to begin it
        self.errors: dict[str, UserError] = {}
        self.shares: dict[str, float] = {}
        for c in chains:
            if c.accounting.key not in self.accounts:
                self.open |= {stage.key: stage for stage in _missing(c)}
                self.open[c.accounting.key] = c.accounting
        self.total = len(self.open)
        self.ahead = ahead

    def all(self) -> tuple[dict[str, Account], dict[str, UserError], int]:
        """(accounts, errors, how many accounts were there before), by the key of the accounting."""
        running: dict[Future[Account | None], str] = {}
        while self.open or running:
            for name in self._ready()[: self.ahead - len(running)]:
                running[_submit(self.pool, work.do, self.open.pop(name), self.shared)] = name
            finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            self._report()
            for future in finished:
                self._finish(running.pop(future), future)
            if not running and self.open and not self._ready():
                raise AssertionError(f"work without its source: {list(self.open)}")
        return self.accounts, {k: e for k, e in self.errors.items() if k in self.chain_of}, self.reused

    def _ready(self) -> list[str]:
        return [name for name, item in self.open.items() if item.source.is_file()]

    def _finish(self, name: str, future: Future[Account | None]) -> None:
        self.shares[name] = 1.0
        try:
            account = _result(future)
        except UserError as error:
            self._fail(name, error)
            return
        if account is not None:
            c = self.chain_of[name]
            self.accounts[name] = account
            self.store.put(name, c.recipe.name, c.seed, c.recipe.text, account)

    def _fail(self, name: str, error: UserError) -> None:
        """The error of this work, and of all that waits for its file."""
        self.errors[name] = error
        for c in self.chain_of.values():
            if any(stage.key == name for stage in c.stages):
                for piece in (*(stage.key for stage in c.stages), c.accounting.key):
                    if self.open.pop(piece, None) is not None:
                        self.shares[piece] = 1.0
                self.errors.setdefault(c.accounting.key, error)

    def _report(self) -> None:
        sentence = ""
        while True:
            try:
                name, sentence, self.shares[name] = self.reports.get_nowait()
            except queue.Empty:
                break
        self.progress(sentence, sum(self.shares.values()), self.total)


def _there(c: Chain, account: Account) -> bool:
    """Whether the models of an account are still there. An exported file of another size is removed: it was damaged."""
    exported = c.accounting.source
    if exported.is_file() and exported.stat().st_size != account.tflite_bytes:
        exported.unlink()
    return exported.is_file() and c.keras.is_file()


def _missing(c: Chain) -> list[Stage]:
    """The stages from the first whose file is not there and is needed."""
    needed: list[Stage] = []
    for stage in reversed(c.stages):
        if stage.target.is_file():
            break
        needed.append(stage)
    return needed[::-1]


def _submit(pool: ProcessPoolExecutor, do: Callable[..., Any], *arguments: object) -> Future[Any]:
    """As pool.submit. A worker that is begun for it is deaf to Ctrl-C from its first instruction on: work.begin() comes seconds
    later. One that arrives here meanwhile takes effect at the end."""
    if sys.platform == "win32":
        return pool.submit(do, *arguments)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        return pool.submit(do, *arguments)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _result(future: Future[Any]) -> Any:
    """What the worker gave or raised; a worker that was killed becomes a sentence."""
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise CheckError(
            "A worker process ended without a word, perhaps for want of memory.",
            "",
            "Try --jobs 1, fewer samples or a smaller batch; what is done is kept.",
        ) from error


@contextmanager
def _workers(jobs: int, log: Path) -> Iterator[tuple[ProcessPoolExecutor, Any]]:
    """(pool of `jobs` processes, queue of their reports). Whatever ends the block, no process is left behind."""
    context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    reports = context.Queue()
    threads = max(1, (os.cpu_count() or 1) // jobs)
    pool = ProcessPoolExecutor(jobs, context, work.begin, (reports, threads, log))
    try:
        yield pool, reports
    except BaseException:
        for child in multiprocessing.active_children():
            child.kill()
            child.join()
            for half in work.temporaries(log.parent, child.pid):
                half.unlink()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _versions() -> dict[str, str]:
    """Version of everything that training's results depend on. Raises RequestError where one is not installed."""
    try:
        return {"mcuml": __version__, **{name: importlib.metadata.version(name) for name in PACKAGES}}
    except importlib.metadata.PackageNotFoundError as error:
        from mcuml.optimize.frameworks import missing

        raise missing(str(error.name), error) from error
