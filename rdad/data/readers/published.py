"""How many images each public data set has, as its authors published it."""

import logging
from typing import NamedTuple

from rdad.data.samples import Samples

log = logging.getLogger(__name__)


class Counts(NamedTuple):
    """Of a category; None where the data set does not fix it."""

    training: int | None
    validation: int | None
    good_test: int | None
    defective_test: int | None


def _of(rows: str) -> dict[str, Counts]:
    """A line a category: its name, then training, validation, good and defective test images."""
    parsed = (row.split() for row in rows.strip().splitlines())
    return {
        name: Counts(*(None if one == "-" else int(one) for one in row)) for name, *row in parsed
    }


PUBLISHED: dict[str, dict[str, Counts]] = {
    "mvtec_ad": _of(  # Bergmann et al., IJCV 2021
        """
        bottle      209 - 20  63
        cable       224 - 58  92
        capsule     219 - 23 109
        carpet      280 - 28  89
        grid        264 - 21  57
        hazelnut    391 - 40  70
        leather     245 - 32  92
        metal_nut   220 - 22  93
        pill        267 - 26 141
        screw       320 - 41 119
        tile        230 - 33  84
        toothbrush   60 - 12  30
        transistor  213 - 60  40
        wood        247 - 19  60
        zipper      240 - 32 119
        """
    ),
    "mvtec_ad_2": _of(  # arXiv 2503.21622; of the test images the public ones
        """
        can         412 46 72  90
        fabric      387 43 66  90
        fruit_jelly 263 37 20  60
        rice        313 35 42  90
        sheet_metal 137 19 24  90
        vial        291 41 35 105
        wallplugs   293 33 60  90
        walnuts     432 48 60  90
        """
    ),
    "mvtec_loco": _of(  # Bergmann et al., IJCV 2022
        """
        breakfast_box       351 62 102 173
        juice_bottle        335 54  94 236
        pushpins            372 69 138 172
        screw_bag           360 60 122 219
        splicing_connectors 360 60 119 193
        """
    ),
    "mvtec_3d": _of(  # Bergmann et al., VISAPP 2022
        """
        bagel       244 22 22  88
        cable_gland 223 23 21  87
        carrot      286 29 27 132
        cookie      210 22 28 103
        dowel       288 34 26 104
        foam        236 27 20  80
        peach       361 42 26 106
        potato      300 33 22  92
        rope        298 33 32  69
        tire        210 29 25  87
        """
    ),
    "visa": _of(  # split_csv/1cls.csv of Zou et al., ECCV 2022
        """
        candle     900 - 100 100
        capsules   542 -  60 100
        cashew     450 -  50 100
        chewinggum 453 -  50 100
        fryum      450 -  50 100
        macaroni1  900 - 100 100
        macaroni2  900 - 100 100
        pcb1       904 - 100 100
        pcb2       901 - 100 100
        pcb3       905 - 101 100
        pcb4       904 - 101 100
        pipe_fryum 450 -  50 100
        """
    ),
    "btad": _of(  # Mishra et al., ISIE 2021
        """
        01  400 -  21  49
        02  399 -  30 200
        03 1000 - 400  41
        """
    ),
    "mpdd": _of(  # Jezek et al., ICUMT 2021
        """
        bracket_black 289 - 32 47
        bracket_brown 185 - 26 51
        bracket_white 110 - 30 30
        connector     128 - 30 14
        metal_plate    54 - 26 71
        tubes         122 - 32 69
        """
    ),
    "goodsad": _of(  # Zhang et al., RA-L 2024
        """
        cigarette_box  183 - 183 246
        drink_bottle   733 - 356 425
        drink_can      234 - 147 147
        food_bottle   1014 - 243 361
        food_box       432 - 146 251
        food_package   540 - 253 230
        """
    ),
    "kolektor_sdd2": _of("kolektor_sdd2 2085 - 894 110"),  # Bozic et al., 2021
    "vad": _of("vad 2000 - 1000 1000"),  # Baitieva et al., CVPR workshops 2024
    "magnetic_tile": _of("magnetic_tile - - - 388"),  # 392, of which 4 have masks without a mark
}


def warn_of_counts(name: str, category: str, samples: Samples) -> None:
    """Say in the log where a category has other counts than its data set was published with."""
    published = PUBLISHED.get(name, {}).get(category)
    if published is None:
        return
    defective = sum(sample.label for sample in samples.test)
    good = len(samples.test) - defective
    found = Counts(len(samples.train), len(samples.calibration), good, defective)
    for kind, count, expected in zip(Counts._fields, found, published, strict=True):
        if expected not in (None, count):
            told = (category, count, expected, kind.replace("_", " "))
            log.warning("%s: %d of %d published %s images found", *told)
