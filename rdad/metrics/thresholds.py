"""Where a raw score becomes a verdict: thresholds, and scores in [0, 1] around them.

`rdad.detector.calibration` makes them, from normal images that were neither trained nor tested on.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

FORMAT = "rdad-thresholds-1"


@dataclass(frozen=True)
class Threshold:
    """Of images, or of pixels.

    Attributes:
        value: A raw score above 0, exact in float32; what is strictly above it is a defect.
        steepness: How fast the normalised score rises about the threshold.
    """

    value: float
    steepness: float

    def __post_init__(self) -> None:
        for name, found in (("value", self.value), ("steepness", self.steepness)):
            if not 0 < found < np.inf:
                raise ValueError(f"a threshold's {name} is {found}; allowed: above 0, finite")

    def normalise(self, raw: ArrayLike) -> NDArray[np.float64]:
        """s^k / (s^k + t^k), which is sigmoid(k ln(s / t)): the same shape, in [0, 1].

        It never falls where the raw score rises; it is 0 at 0 (and below, which only rounding
        brings about), exactly 0.5 at the threshold, and above 0.5 where a defect is called.
        """
        scores = np.maximum(np.asarray(raw, np.float64), 0)
        with np.errstate(divide="ignore", over="ignore", under="ignore"):
            return np.asarray(1 / (1 + (self.value / scores) ** self.steepness))

    def exceeded(self, raw: ArrayLike) -> NDArray[np.bool_]:
        """Whether each raw score is a defect's; what is no number is not called good."""
        return ~(np.asarray(raw) <= self.value)


@dataclass(frozen=True)
class Thresholds:
    """What a network needs to say good or bad of images and pixels.

    Attributes:
        image, pixel: The two thresholds.
        image_rate, pixel_rate: The shares of good images, and of their pixels, that may be called
            defective; None where the threshold was given and not found.
        images: How many normal images they were calibrated on.
        guaranteed: Whether the image threshold keeps its rate by the number of images alone.
        note: How the image threshold was found; where it is not guaranteed, why.
        scores: The calibration images' raw scores, sorted; from them
            `rdad.detector.calibration.with_image_rate` finds the image threshold of another rate.
        by_category: Those of categories that have their own; all the others are then of all.
    """

    image: Threshold
    pixel: Threshold
    image_rate: float | None
    pixel_rate: float | None
    images: int
    guaranteed: bool
    note: str
    scores: tuple[float, ...] = ()
    by_category: "Mapping[str, Thresholds]" = field(default_factory=dict)

    def of(self, category: str) -> "Thresholds":
        """A category's own, or those of all."""
        return self.by_category.get(category, self)

    def __str__(self) -> str:
        """The sentence that every command says them in.

        As "image 0.41 (2 % false alarms, not guaranteed by 7 images), pixel 0.22 (0.1 %)".
        """
        image, pixel = "given", "given"
        if self.scores:
            above = int(self.image.exceeded(self.scores).sum())
            image = f"given, {above} of {self.images} good images that were held back lie above"
        if self.image_rate is not None:
            kept = "guaranteed" if self.guaranteed else "not guaranteed"
            images = f"{self.images} image{'s' * (self.images != 1)}"
            image = f"{100 * self.image_rate:g} % false alarms, {kept} by {images}"
        if self.pixel_rate is not None:
            pixel = f"{100 * self.pixel_rate:g} %"
        return f"image {self.image.value:.4g} ({image}), pixel {self.pixel.value:.4g} ({pixel})"

    def to_dict(self) -> dict[str, Any]:
        """Plain data: numbers, strings and lists of them."""
        own = {name: one.to_dict() for name, one in self.by_category.items()}
        plain = asdict(replace(self, by_category={})) | {"scores": list(self.scores)}
        return {"format": FORMAT, **plain, "by_category": own}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """What `to_dict` gave.

        Raises:
            ValueError: it gave something else.
        """
        if plain.get("format") != FORMAT:
            raise ValueError(f"thresholds must be {FORMAT}; found {plain.get('format')!r}")
        try:
            return cls(
                image=Threshold(**{key: float(one) for key, one in plain["image"].items()}),
                pixel=Threshold(**{key: float(one) for key, one in plain["pixel"].items()}),
                image_rate=_rate(plain["image_rate"]),
                pixel_rate=_rate(plain["pixel_rate"]),
                images=int(plain["images"]),
                guaranteed=bool(plain["guaranteed"]),
                note=str(plain["note"]),
                scores=tuple(float(score) for score in plain["scores"]),
                by_category={
                    str(name): cls.from_dict(one)
                    for name, one in plain.get("by_category", {}).items()
                },
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"thresholds are incomplete or damaged: {error!r}") from error


def _rate(plain: float | None) -> float | None:
    return None if plain is None else float(plain)
