"""An object that runs code when it is unpickled without care."""

from pathlib import Path


class Intruder:
    """Leaves an empty file `trace` behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return Path.touch, (self.trace,)
