"""A command of ``spikeflow`` called in this process, as the law of the command line wants it to end."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import IO

from spikeflow.cli import main


def called(arguments: Sequence[object]) -> int:
    """Its exit code, 0, 1 or 2; an AssertionError for any other, and whatever the command let through."""
    sys.argv = ["spikeflow", *map(str, arguments)]
    code: object = 0
    with _caught(1), _caught(2) as err:
        with (
            _plain(1) as out_text,
            _plain(2) as err_text,
            redirect_stdout(out_text),
            redirect_stderr(err_text),
        ):
            try:
                main()
            except SystemExit as end:
                code = end.code or 0
        err.seek(0)
        said = err.read().decode(errors="replace")
    assert code in (0, 1, 2), f"exit code {code}"
    assert code == 0 or said.strip(), "no word of what is wrong"
    assert "Traceback" not in said, said[-300:]
    return int(str(code))


def _plain(number: int) -> IO[str]:
    """A text stream on a descriptor, whatever a test runner has put in the place of the usual one."""
    return open(number, "w", closefd=False, encoding="utf-8", errors="replace")


@contextmanager
def _caught(number: int) -> Iterator[IO[bytes]]:
    """What is written to this descriptor, whoever writes it."""
    with tempfile.TemporaryFile() as file:
        kept = os.dup(number)
        os.dup2(file.fileno(), number)
        try:
            yield file
        finally:
            os.dup2(kept, number)
            os.close(kept)
