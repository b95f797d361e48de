"""What MLflow loads of a model that rdad logged: files of images in, scores and verdicts out.

MLflow finds this module by the name in the model's MLmodel file and calls `_load_pyfunc`; no code
comes with the model.
"""

import base64
import io
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from rdad.config.mistakes import ConfigError
from rdad.data.images import DataError, decode_image
from rdad.detector.regions import large
from rdad.runs.files import MODEL_FILE

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from PIL import Image

    from rdad.detector.trained_model import Prediction, PreparedImage, TrainedModel
    from rdad.metrics.thresholds import Thresholds

log = logging.getLogger(__name__)

AT_ONCE = 8  # images that the network sees together: memory does not grow with the request


class ServedModel:
    """A trained model as MLflow calls it."""

    def __init__(self, trained: "TrainedModel") -> None:
        self.trained = trained
        self._at_once = AT_ONCE if trained.tiling is None else 1  # each at its own size
        self._preparing = Lock()  # requests may come together, and images be large

    def predict(
        self, model_input: "pd.DataFrame", params: Mapping[str, Any] | None = None
    ) -> "pd.DataFrame":
        """One row an image, in order.

        Args:
            model_input: Column `image`: the bytes of image files, of any sizes; or uint8 arrays
                (H, W, 3) in RGB order.
            params: `maps`: true adds the column `anomaly_map`, and `regions`: true the column of
                that name, without those of fewer pixels than `regions.smallest`; `threshold`, a
                raw score, or `thresholds.image_rate`, in place of the model's image threshold;
                `thresholds.category`, whose own thresholds judge.

        Returns:
            `score`, raw; `normalised_score` in [0, 1] and `label`, good or defective, both None
            without thresholds; `anomaly_map`, the bytes of a TIFF file: raw float32 at the image's
            own size; `regions`, as `Region.to_dict`.

        Raises:
            mlflow.exceptions.MlflowException: an image or a param cannot be used, or a score is no
                number; says which and why.
        """
        import pandas as pd

        asked = params or {}
        thresholds = self._thresholds(asked)
        names = ["score", "normalised_score", "label"]
        names += ["anomaly_map"] * bool(asked.get("maps"))
        names += ["regions"] * bool(asked.get("regions"))
        smallest = asked.get("regions.smallest", 1)
        predictions = enumerate(self._predictions(list(model_input["image"])), 1)
        judged = (_checked(one, number).judged(thresholds) for number, one in predictions)
        rows = [
            [_told(value, smallest) for value in row] for row in map(attrgetter(*names), judged)
        ]
        # None stays None, which JSON can say; pandas would make nan of it, which JSON cannot
        return pd.DataFrame(rows, columns=names, dtype=object).infer_objects()

    def _thresholds(self, asked: Mapping[str, Any]) -> "Thresholds | None":
        from mlflow.exceptions import MlflowException

        from rdad.detector.calibration import chosen_thresholds

        given = {"value": asked.get("threshold"), "image_rate": asked.get("thresholds.image_rate")}
        given["category"] = asked.get("thresholds.category")
        try:
            return chosen_thresholds(self.trained.thresholds, **given)
        except ConfigError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error

    def _predictions(self, images: Sequence[Any]) -> "Iterator[Prediction]":
        for first in range(0, len(images), self._at_once):
            batch = images[first : first + self._at_once]
            yield from self.trained.predict_prepared(
                [self._prepared(image, first + place) for place, image in enumerate(batch, 1)]
            )

    def _prepared(self, image: Any, number: int) -> "PreparedImage":
        from mlflow.exceptions import MlflowException

        name = f"image {number}"
        try:
            with self._preparing:
                return self.trained.prepare(_opened(image, name, self.trained.bits))
        except DataError as error:
            said = "; ".join(error.problems).removeprefix(f"{name}: ")
            raise MlflowException.invalid_parameter_value(f"{name}: {said}") from error


def _opened(image: Any, name: str, bits: int) -> "Image.Image | NDArray[np.uint8]":
    if isinstance(image, bytes):
        return decode_image(_from_base64(image), Path(name), bits=bits)
    if isinstance(image, np.ndarray):
        return image
    allowed = "the bytes of an image file, or a uint8 array"
    raise DataError([f"{type(image).__name__}; allowed: {allowed}"])


def _from_base64(content: bytes) -> bytes:
    """What a text in base64 says: MLflow leaves it as it is in `inputs` and `instances`."""
    try:
        return base64.b64decode(content, validate=True)
    except ValueError:  # every image file has bytes that base64 has not
        return content


def _checked(prediction: "Prediction", number: int) -> "Prediction":
    """The same, if its score is a number: any other would pass for good."""
    from mlflow.exceptions import MlflowException

    if not math.isfinite(prediction.score):
        said = f"image {number}: the network's score for it is {prediction.score}"
        raise MlflowException(said)
    return prediction


def _told(value: Any, smallest: int) -> Any:
    if isinstance(value, list):
        return [region.to_dict() for region in large(value, smallest)]
    return _tiff(value) if isinstance(value, np.ndarray) else value


def _tiff(anomaly_map: "NDArray[np.float32]") -> bytes:
    import tifffile

    file = io.BytesIO()
    tifffile.imwrite(file, anomaly_map)
    return file.getvalue()


def _load_pyfunc(data_path: str) -> ServedModel:
    """MLflow's door: the model in the `data` folder of an MLflow model."""
    import torch

    from rdad.detector.model_file import load_trained_model

    try:
        trained = load_trained_model(Path(data_path) / MODEL_FILE, name="served model")
    except (FileNotFoundError, ValueError) as error:
        error.add_note("a model that `python -m rdad.register` named holds its encoder")
        raise
    log.info("thresholds: %s", trained.thresholds or "none")
    return ServedModel(trained.to("cuda" if torch.cuda.is_available() else "cpu"))
