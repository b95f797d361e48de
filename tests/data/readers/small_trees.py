"""What the tests of readers share."""

from collections.abc import Callable
from pathlib import Path

Put = Callable[..., Path]
Mark = Callable[..., Path]

SIZE = (8, 6)  # of images and masks: height, width
