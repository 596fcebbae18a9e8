"""Rules about the repository itself: which way imports point, which module may use which library, where a board may be
named, and that every operator has its three files."""

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "host" / "mcuml"

# Stages from left to right; a module imports only from its own stage or from one further left. A new top-level module
# gets a place here, by what it needs and who needs it.
STAGES = (
    ("__init__", "errors", "assets", "defaults"),
    ("graph", "flexbuf", "cores", "numerics", "anchors", "results", "limits", "comparison", "arrays"),
    ("board", "dataset"),
    (
        "ops",
        "cost",
        "geometry",
        "floats",
        "lanes",
        "halves",
        "weighted",
        "walks",
        "unpack",
        "sparse",
        "palette",
        "winograd",
        "conv_s8",
        "conv_s16",
        "depthwise_lines",
        "depthwise_windows",
        "depthwise_apart",
        "depthwise_f32",
        "single_plane",
        "conv_pool_point",
        "fixedpoint",
        "elementwise",
        "shapes",
        "movement",
    ),
    ("flatbuf", "schema", "tflite_tensor", "raw_model", "rewrites", "subgraphs", "tflite"),
    ("passes",),
    ("plan",),
    ("order",),
    ("schedule", "tuned"),
    ("pipeline", "baseline"),
    ("render",),
    ("elf_sizes", "toolchain", "compiler_output", "processes", "pio", "hostbuild", "build", "trial_link", "vendor"),
    ("link", "run", "instruments"),
    ("code_size", "fit"),
    ("tflm",),
    ("runtimes",),
    ("host_model", "trace", "bench", "check", "ci", "doctor", "board_check", "verify", "tune", "mlperf"),
    ("tables", "report", "check_report", "layer_report", "fit_report", "port_report", "compare_report"),
    ("cli", "__main__"),
)
SIDE = ("reference", "reference_worker", "optimize", "search")  # hang off the side: only cli (and tests) import them

USERS = {  # library -> the modules (or packages) that may import it
    "jinja2": ("render",),
    "unicorn": ("link.virtual", "link.reads"),
    "capstone": ("link.cycles",),
    "platformio": ("pio", "build"),
    "SCons": ("pio", "build"),
    "ziglang": ("toolchain", "build"),
    "serial": ("link.serial", "instruments.lpm01a"),
    "pyjoulescope_driver": ("instruments.js220",),
    "tflite_micro": ("reference", "reference_worker"),
    "ai_edge_litert": ("reference", "reference_worker"),
    "tensorflow": ("optimize", "search"),
    "tf_keras": ("optimize", "search"),
    "tensorflow_model_optimization": ("optimize", "search"),
    "PIL": ("optimize.images",),
    "h5py": ("optimize.sources", "optimize.stored"),
    "typer": ("cli",),
    "rich": ("tables", "report", "check_report", "layer_report", "fit_report", "port_report", "compare_report", "cli"),
}
LONGEST_FILE = 350


@cache
def modules() -> dict[str, tuple[Path, ast.Module]]:
    """Dotted name inside mcuml -> (file, syntax tree)."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = (path, ast.parse(path.read_text(encoding="utf-8")))
    return found


@cache
def imports(name: str) -> frozenset[str]:
    """Every module that `name` imports, at its top or inside a function; mcuml's own without the "mcuml." in front."""
    path, tree = modules()[name]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole.removeprefix("mcuml.") in modules() else str(node.module))
    return frozenset(
        "__init__" if m == "mcuml" else m.removeprefix("mcuml.") if m.startswith("mcuml.") else f":{m}" for m in found
    )


def own(name: str) -> set[str]:
    return {m for m in imports(name) if not m.startswith(":")}


def stage(name: str) -> int:
    top = name.split(".")[0]
    for number, names in enumerate(STAGES):
        if top in names:
            return number
    raise AssertionError(
        f"host/mcuml/{top}.py has no place in STAGES (tests/test_repo_rules.py): which stages need it, and which does it need?"
    )


@pytest.mark.parametrize("name", sorted(modules()))
def test_imports_point_left(name: str) -> None:
    if name.split(".")[0] in SIDE:
        assert not {m for m in own(name) if m.split(".")[0] in ("cli", "report")}
        return
    for other in own(name):
        if other.split(".")[0] in SIDE:
            assert name.split(".")[0] == "cli", f"{name} imports {other}; only cli may"
        else:
            assert stage(other) <= stage(name), f"{name} (stage {stage(name)}) imports {other} (stage {stage(other)})"


def test_no_import_cycles() -> None:
    finished: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"import cycle: {' -> '.join((*path[path.index(name) :], name))}"
        if name in finished or name not in modules():
            return
        for other in own(name) - {name}:
            visit(other, (*path, name))
        finished.add(name)

    for name in modules():
        visit(name, ())


@pytest.mark.parametrize("library", USERS)
def test_one_user_per_library(library: str) -> None:
    users = {name for name in modules() if any(m == f":{library}" or m.startswith(f":{library}.") for m in imports(name))}
    allowed = USERS[library]
    strangers = {user for user in users if not any(user == a or user.startswith(f"{a}.") for a in allowed)}
    assert not strangers, f"{library} belongs to {' and '.join(allowed)}; also imported by {sorted(strangers)}"


def test_only_the_command_line_prints() -> None:
    for name, (path, tree) in modules().items():
        if name.split(".")[0] in ("cli", "__main__"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{path}:{node.lineno} prints; only cli/ does"


def sources() -> list[Path]:
    """Hand-written sources of the product: Python, C, templates, linker scripts."""
    kinds = {".py", ".c", ".h", ".j2", ".ld", ".S", ".toml", ".json"}
    folders = [PACKAGE, ROOT / "firmware", ROOT / "templates"]
    return [p for folder in folders for p in sorted(folder.rglob("*")) if p.suffix in kinds and "__pycache__" not in p.parts]


def test_no_board_is_named_in_code() -> None:
    names = [p.stem for p in (ROOT / "boards").glob("*.toml")]
    assert names, "boards/ is empty"
    pattern = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in names), re.IGNORECASE)
    for path in sources():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found = pattern.search(line)
            assert not found, (
                f"{path.relative_to(ROOT)}:{number} names the board {found and found.group()}; that belongs into boards/"
            )


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_file_is_a_room(name: str) -> None:
    path = modules()[name][0]
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), f"{path} does not say what it is for"
    assert len(text.splitlines()) <= LONGEST_FILE, f"{path} is longer than {LONGEST_FILE} lines"


SHARED = (
    "conv_pool_point",
    "conv_s16",
    "conv_s8",
    "depthwise_apart",
    "depthwise_f32",
    "depthwise_lines",
    "depthwise_windows",
    "elementwise",
    "floats",
    "halves",
    "single_plane",
    "sparse",
    "palette",
    "unpack",
    "weighted",
    "movement",
    "winograd",
)  # choose kernels for operators
OPERATORS = sorted(p.stem for p in (PACKAGE / "ops").glob("*.py") if not p.stem.startswith("_"))


def kernel_names(module: str) -> set[str]:
    """The templates that an operator's file (or one of SHARED) can choose: its string literals that name one."""
    known = {p.name.removesuffix(".c.j2") for p in (ROOT / "templates" / "kernels").glob("*.c.j2")}
    _, tree = modules()[module]
    return {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)} & known


@pytest.mark.parametrize("operator", OPERATORS)
def test_operator_has_its_files(operator: str) -> None:
    assert (ROOT / "tests" / "ops" / f"test_{operator}.py").is_file(), f"tests/ops/test_{operator}.py is missing"
    source = modules()[f"ops.{operator}"][0].read_text(encoding="utf-8")
    shared = any(f"from mcuml.{module} import" in source for module in SHARED)
    assert kernel_names(f"ops.{operator}") or shared or "view=True" in source, (
        f"ops/{operator}.py chooses no template of templates/kernels"
    )


def test_every_template_has_an_operator() -> None:
    used = set().union(*(kernel_names(module) for module in (*SHARED, *(f"ops.{operator}" for operator in OPERATORS))))
    known = {p.name.removesuffix(".c.j2") for p in (ROOT / "templates" / "kernels").glob("*.c.j2")}
    assert known == used


def tracked() -> list[Path]:
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("Not a git checkout, so there is no list of the project's files; run this from a clone.")
    return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_no_machine_paths_and_no_large_files() -> None:
    machine = re.compile(r"(^|[^A-Za-z0-9_.])/(work|farm|tmp|root|home)/[A-Za-z]")
    for path in tracked():
        assert path.stat().st_size <= 1 << 20, f"{path} is over 1 MiB"
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            assert not machine.search(line), f"{path.relative_to(ROOT)}:{number} holds a path of one machine: {line.strip()[:80]}"


def test_ci_runs_what_the_readme_says() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_operator_table_is_whole() -> None:
    from mcuml import ops

    rows = re.findall(r"^\| ([\w+]+) \|", (ROOT / "docs" / "OPERATORS.md").read_text(encoding="utf-8"), re.MULTILINE)
    served = {code.removeprefix("CUSTOM:").partition(":")[0] for code in ops.registry()}
    assert set(rows) - {"Operator"} | {"VAR_HANDLE"} == served, "write it again with: make operators"
