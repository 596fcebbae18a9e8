"""Silence for libraries whose C++ code writes to the terminal by itself: file descriptors 1 and 2 lead to a file meanwhile."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Two threads that redirect at once could restore each other's file, and stdout would stay lost.
_one_at_a_time = threading.RLock()


@contextmanager
def silence() -> Iterator[None]:
    """Nothing written inside reaches stdout or stderr, from this process or one that it starts. Descriptors, not
    sys.stdout, are redirected: the converter of TensorFlow logs with C++ streams, before its log level is read."""
    with _one_at_a_time, tempfile.TemporaryFile() as nowhere:
        saved = {}
        _flush()
        try:
            for descriptor in (1, 2):
                try:
                    saved[descriptor] = os.dup(descriptor)
                except OSError:  # closed by whoever started us
                    continue
                os.dup2(nowhere.fileno(), descriptor)
            yield
        finally:
            _flush()
            for descriptor, copy in saved.items():
                os.dup2(copy, descriptor)
                os.close(copy)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
