"""Errors for the person at the bench: one class per exit code, each naming what, the evidence, and what to try."""


class UserError(Exception):
    """Something a user can act on. `what` is a sentence naming file, tensor, operator or board; `evidence` holds the
    numbers or the tool's own words; `try_next` says what to do. `exit_code` is the process's exit status."""

    exit_code = 2

    def __init__(self, what: str, evidence: str = "", try_next: str = ""):
        super().__init__(what)
        self.what, self.evidence, self.try_next = what, evidence, try_next

    def __str__(self) -> str:
        return "\n".join(part for part in (self.what, self.evidence, self.try_next) if part)


class RequestError(UserError):
    """The request was wrong: an option, a path, a data file."""

    exit_code = 2


class ModelError(UserError):
    """The model cannot be served: malformed, or an operator or type that mcuml does not have."""

    exit_code = 3


class FitError(UserError):
    """The model does not fit the board's flash or RAM."""

    exit_code = 4


class BuildError(UserError):
    """A toolchain is missing or a build failed."""

    exit_code = 5


class LinkError(UserError):
    """A board, real or simulated, did not answer as it should."""

    exit_code = 6


class CheckError(UserError):
    """A comparison or a gate failed: the figures are there, and they are not good enough."""

    exit_code = 7
