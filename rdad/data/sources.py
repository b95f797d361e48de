"""Where the pixels of a split come from: images at one size, images at their own, or tiles."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from rdad.data.batches import ImageSet
from rdad.data.cache import Decoded, decode
from rdad.data.images import DataError
from rdad.data.samples import Sample, Samples
from rdad.data.tiles import Tiles
from rdad.data.tiling import Size, Tiling
from rdad.data.whole_images import WholeImages, decode_whole_images

Source: TypeAlias = Decoded | WholeImages


def decode_both(
    samples: Samples, *, size: Size, whole: bool, cache_dir: Path | None
) -> tuple[Source, Source]:
    """Training and test images, at `size` or `whole`, at their own.

    Raises:
        DataError: lists the files of both that cannot be used.
    """
    decoded: list[Source] = []
    problems: list[str] = []
    for part in (samples.train, samples.test):
        try:
            decoded.append(
                decode_whole_images(part, cache_dir) if whole else decode(part, size, cache_dir)
            )
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return decoded[0], decoded[1]


def tile_set(
    samples: Sequence[Sample],
    images: WholeImages,
    rows: Sequence[int],
    defect_types: Sequence[str],
    *,
    tiling: Tiling,
    size: Size,
) -> ImageSet:
    """As an `ImageSet` of these arguments, but of the images' tiles, brought to `size`.

    Label and defect type of a tile are those of its image.
    """
    tiles = Tiles(images, tiling, size)
    chosen = tiles.rows_of(rows)
    by_row = dict(zip(rows, samples, strict=True))
    owners = [by_row[row] for row in tiles.images[chosen].tolist()]
    return ImageSet(owners, tiles, chosen.tolist(), defect_types)
