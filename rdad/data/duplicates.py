"""Images in two splits: the same file, byte for byte, whatever it is called."""

import logging
from collections.abc import Sequence

from rdad.data.samples import Sample, Samples

log = logging.getLogger(__name__)

Digested = Sequence[tuple[Sample, str]]


def check_duplicates(samples: Samples, digests: Sequence[Sequence[str]], *, refuse: bool) -> None:
    """Say how many test images are among the training images, and name the first of them.

    Images of the data set's own for thresholds are to be in neither; that is a warning.

    Args:
        digests: Of the files' contents, for each of `samples.splits` in its order.
        refuse: Otherwise test images among the training images are a warning, too.

    Raises:
        ValueError: there are some, and they are refused.
    """
    splits = zip(samples.splits, digests, strict=True)
    train, test, *own = [list(zip(images, of, strict=True)) for images, of in splits]
    for calibration in own:
        if said := _said("calibration", calibration, "training or test", [*train, *test]):
            log.warning("%s: thresholds that are found on them do not keep their rates", said)
    said = _said("test", test, "training", train)
    if said and refuse:
        raise ValueError(
            f"{said}: take them from one of the two, or allow it by dataset.allow_duplicates=true"
        )
    if said:
        log.warning("%s: what is measured on them says nothing", said)


def _said(kind: str, images: Digested, of_others: str, others: Digested) -> str | None:
    """What there is to say of images that are among others; None where none is."""
    known = {digest: sample.image for sample, digest in reversed(others)}
    twice = [(one.image, known[digest]) for one, digest in images if digest in known]
    if not twice:
        return None
    return (
        f"{len(twice)} of {len(images)} {kind} images are {of_others} images as well, byte for "
        f"byte, the first is {twice[0][0]}, as {twice[0][1]}"
    )
