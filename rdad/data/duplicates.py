"""Test images that were trained on: the same file, byte for byte, whatever it is called."""

import logging
from collections.abc import Sequence

from rdad.data.samples import Samples

log = logging.getLogger(__name__)


def check_duplicates(
    samples: Samples, train: Sequence[str], test: Sequence[str], *, refuse: bool
) -> None:
    """Say how many test images are among the training images, and name the first of them.

    Args:
        train, test: Digests of the files' contents, in the samples' order.
        refuse: Otherwise it is a warning.

    Raises:
        ValueError: there are some, and they are refused.
    """
    known = dict(zip(reversed(train), reversed(samples.train), strict=True))
    twice = [
        (one.image, known[digest].image)
        for one, digest in zip(samples.test, test, strict=True)
        if digest in known
    ]
    if not twice:
        return
    said = (
        f"{len(twice)} of {len(samples.test)} test images are training images as well, byte for "
        f"byte, the first is {twice[0][0]}, as {twice[0][1]}"
    )
    if refuse:
        raise ValueError(
            f"{said}: take them from one of the two, or allow it by dataset.allow_duplicates=true"
        )
    log.warning("%s: what is measured on them says nothing", said)
