"""Where a source can be changed and into what: operators and whole numbers, in the C of a template or in Python.

A change leaves the text as long as it was or longer, on its line; nothing in strings, comments, Jinja or preprocessor lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SWAPS = {
    "+": "-", "-": "+", "*": "+", "/": "*", "//": "*", "%": "+", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=",
    "!=": "==", "&&": "||", "||": "&&", "<<": ">>", ">>": "<<", "&": "|", "|": "&", "^": "&", "+=": "-=", "-=": "+=",
    "*=": "+=", "|=": "&=", "<<=": ">>=", ">>=": "<<=", "and": "or", "or": "and",
}  # fmt: skip
TOKEN = re.compile(rf"(?<= )(?:{'|'.join(map(re.escape, sorted(SWAPS, key=len, reverse=True)))})(?= )|(?<![\w.%])\d+(?![\w.])")
DECLARATION = re.compile(r"^ *(?:static |const |\w+_t |int |float |double ).*\[$")  # of an array, up to its size
NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}  # where a choice between equals would not show: a < b ? a : b
HIDDEN = {  # what is not the language's own code
    ".j2": re.compile(r'\{[{%#].*?[#%}]\}|/\*.*?\*/|^[ ]*#.*?$|"(?:[^"\\\n]|\\.)*"', re.DOTALL | re.MULTILINE),
    ".py": re.compile(r'""".*?"""|#.*?$|^(?:from|import) .*?$|f?"(?:[^"\\\n]|\\.)*"', re.DOTALL | re.MULTILINE),
}


@dataclass(frozen=True)
class Mutant:
    """`text` with the token at `start` replaced."""

    path: Path  # from the repository's root
    text: str
    start: int
    before: str
    after: str

    @property
    def mutated(self) -> str:
        return self.text[: self.start] + self.after + self.text[self.start + len(self.before) :]

    @property
    def line(self) -> str:
        return self.text[self.text.rfind("\n", 0, self.start) + 1 :].partition("\n")[0].strip()

    @property
    def number(self) -> int:
        return self.text.count("\n", 0, self.start) + 1

    @property
    def chunk(self) -> str:
        """The text around the token that stands in the rendered C as it is: up to the next Jinja or the line's end."""
        first = max(self.text.rfind(mark, 0, self.start) + len(mark) for mark in ("\n", "}}", "%}", "#}"))
        return re.split(r"\n|\{[{%#]", self.text[first:])[0].strip()

    def __str__(self) -> str:
        column = self.start - self.text.rfind("\n", 0, self.start)
        return f"{self.path.as_posix()}:{self.number}:{column}: {self.before} becomes {self.after}"


def mutants(path: Path, root: Path) -> list[Mutant]:
    """Every change of one token of the file."""
    text = path.read_text(encoding="utf-8")
    code = HIDDEN[path.suffix].sub(lambda found: re.sub(r"[^\n]", "\0", found.group()), text)
    made = [(found, _other(code, found)) for found in TOKEN.finditer(code)]
    return [Mutant(path.relative_to(root), text, found.start(), found.group(), other) for found, other in made if other]


def _other(code: str, found: re.Match[str]) -> str:
    """What takes the token's place; "" where it would make no difference."""
    token, choice = found.group(), "?" in code[found.end() :].partition("\n")[0].partition(";")[0]
    if token in SWAPS:
        return NEGATED.get(token, SWAPS[token]) if choice else SWAPS[token]
    before = code[: found.start()]
    declared = DECLARATION.search(before[before.rfind("\n") + 1 :]) and re.match(r"\](?:[,;]| =)", code[found.end() :])
    if (choice and re.search(r"[<>]=? $", before)) or declared:
        return ""  # the same choice between equals; room for one more
    return str(int(token) + 1)


def imported(path: Path) -> list[Path]:
    """The template and the partials that it imports, and theirs."""
    found = [path]
    for name in re.findall(r'\{% import "(.*?)"', path.read_text(encoding="utf-8")):
        found += [other for other in imported(path.parents[1] / name) if other not in found]
    return found
