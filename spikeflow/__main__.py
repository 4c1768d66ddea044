"""The entry of the command line: ``spikeflow``, or ``python -m spikeflow``.

Ctrl-C while the parts are still being loaded ends the process as quietly as later.
"""

from __future__ import annotations

# in the interpreter itself: the module `signal` is a file, which takes time to load
import _signal  # pyright: ignore[reportMissingImports]

_signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def main() -> None:
    """Load the command line and run it."""
    import signal
    import sys

    from spikeflow.cli import main as run

    pressed: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        pressed.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        run()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        if pressed:  # an import that was interrupted may end in another error
            sys.exit(130)
        raise


if __name__ == "__main__":
    main()
