"""Compares code, weights, arena and cycles of every model of a folder with those of another commit.

usage: size_diff.py MODELS [--base COMMIT] [--board NAME] [--only SUBSTRING]

The other commit is checked out below build/ for as long as this runs."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_run import bench

ROOT = Path(__file__).resolve().parents[1]
SIZES = ("code_bytes", "weights_bytes", "arena_bytes", "stack_bytes")
FIGURES = (*(("memory", size) for size in SIZES), ("latency", "cycles"))


def figures(tree: Path, model: Path, board: str) -> list[int] | None:
    """FIGURES of `model` by the mcuml of `tree`, None where that does not serve it."""
    run = bench(model, "--board", board, "--samples", "1", host=tree / "host")
    if run.code or run.result is None:
        return None
    return [run.result.get(part, {}).get(key, 0) for part, key in FIGURES]


def cell(before: int, now: int) -> str:
    if before == now:
        return f"{now:,}"
    return f"{now:,} ({now - before:+,}{f', {100 * (now - before) / before:+.1f} %' if before else ''})"


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", type=Path)
    ap.add_argument("--base", default="origin/main")
    ap.add_argument("--board", default="nucleo_l4r5zi")
    ap.add_argument("--only", default="")
    args = ap.parse_args()
    git = ["git", "-C", str(ROOT)]
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        subprocess.run([*git, "worktree", "add", "-q", "--detach", str(base), args.base], check=True)
        try:
            print(f"Against {args.base}, on {args.board}.\n\n| Model | {' | '.join(key for _, key in FIGURES)} |")
            print(f"|---|{'--:|' * len(FIGURES)}", flush=True)
            for model in sorted(args.models.resolve().rglob("*.tflite")):
                if args.only in model.name:
                    before, now = (figures(tree, model, args.board) for tree in (base, ROOT))
                    told = [cell(b, n) for b, n in zip(before, now, strict=True)] if before and now else ["not served"]
                    print(f"| {model.stem} | {' | '.join(told)} |", flush=True)
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(base)], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
