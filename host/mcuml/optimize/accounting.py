"""What a candidate costs and is worth: sizes, memory, cycles and accuracy of the exported model, through its generated C."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OnBoard(_Part):
    """One board's figures. Bytes as linked; `cycles` and `ms` of one inference, estimated or measured as `kind` says. `fits`:
    whether flash and RAM suffice; then all others are absent if not (`overshoot` says what exceeds what)."""

    board: str
    fits: bool
    overshoot: str = ""
    flash_bytes: int | None = None
    code_bytes: int | None = None
    weights_bytes: int | None = None
    ram_bytes: int | None = None
    arena_bytes: int | None = None
    stack_bytes: int | None = None
    cycles: int | None = None
    ms: float | None = None
    kind: str | None = None
    error: str | None = None
    identical: bool | None = None  # outputs of `samples` samples on the virtual board equal the oracle's
    samples: int | None = None


class Account(_Part):
    """A candidate's figures. `correct_*`: one bit per sample of the split, packed (numpy.packbits), in hexadecimal: what the
    paired test compares. Accuracies are shares of 1, of the generated C on this computer over the whole split."""

    parameters: int
    nonzero_parameters: int
    tflite_bytes: int
    gzip_bytes: int
    macs: int
    scheme: str
    validation_accuracy: float
    test_accuracy: float
    correct_validation: str
    correct_test: str
    boards: tuple[OnBoard, ...]
