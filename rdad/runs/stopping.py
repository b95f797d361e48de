"""How a run that is stopped from outside ends, and what is written down of that."""

import signal
import sys
import threading

TERMINATED = 128 + signal.SIGTERM  # exit code


def why_stopped(error: BaseException) -> str | None:
    """In the words of run.json; None where it was a failure."""
    if isinstance(error, KeyboardInterrupt):
        return "stopped by Ctrl-C"
    return "terminated" if isinstance(error, SystemExit) else None


def end_in_order_when_terminated() -> None:
    """Let SIGTERM, from `kill` or a cluster's scheduler, run what is to be done at exit."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
