"""Five parts that rdad does not have: a data set, a backbone, a loss, a callback and a logger."""

import csv
import json
import math
from argparse import Namespace
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn
from torch.nn import functional as F

from rdad.data import AnomalyDataModule, DataError, Sample, Samples

SHRUNK_BY = {"layer1": 2, "layer2": 4, "layer3": 8}  # before a step of 2


def read_table(root: Path, table: str, category: str) -> Samples:
    """The rows of one category in a table of images, as VisA has it.

    Columns: object, split (train or test), label (normal, or anything else for a defect), image
    and mask, which are paths under `root`; a mask may be left empty.
    """
    with (root / table).open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["object"] == category]
    missing = [row["image"] for row in rows if not (root / row["image"]).is_file()]
    if missing:
        raise DataError([f"{image}: not there" for image in missing])
    train = tuple(_sample(root, row) for row in rows if row["split"] == "train")
    return Samples(train, tuple(_sample(root, row) for row in rows if row["split"] == "test"))


def _sample(root: Path, row: Mapping[str, str]) -> Sample:
    """Names must differ within a type; so does the whole path, letter case aside."""
    normal = row["label"] == "normal"
    return Sample(
        image=root / row["image"],
        label=int(not normal),
        defect_type="good" if normal else row["label"],
        mask=root / row["mask"] if row["mask"] else None,
        name=Path(row["image"]).with_suffix("").as_posix().replace("/", "_"),
    )


def split_list(root: str, table: str, category: str, **loading: Any) -> AnomalyDataModule:
    """A data set: whatever `dataset._target_` names must give an AnomalyDataModule.

    Args:
        loading: What conf/loading.yaml holds; AnomalyDataModule takes it as it is.
    """
    read = partial(read_table, Path(root).expanduser(), table, category)
    return AnomalyDataModule(read, name="split_list", category=category, **loading)


class GaborEncoder(nn.Module):
    """A backbone without weights to download: how strongly the image is striped, by direction.

    At each scale every direction has a pair of Gabor filters, a quarter wave apart; their joint
    strength does not change when the stripes shift. Beside them stand the colours.

    Attributes:
        channels: Of the features of layer1, layer2 and layer3.
        mean, std: Of pixels in [0, 1]; what images are normalised by.
    """

    filters: Tensor

    def __init__(self, directions: int = 8) -> None:
        super().__init__()
        self.channels = dict.fromkeys(SHRUNK_BY, directions + 3)
        self.mean, self.std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
        self.register_buffer("filters", _gabor_filters(directions))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Normalised images (B, 3, H, W) -> (B, directions + 3, H/s, W/s), s = 4, 8, 16."""
        return {
            layer: self._scale(F.avg_pool2d(images, factor)) for layer, factor in SHRUNK_BY.items()
        }

    def _scale(self, images: Tensor) -> Tensor:
        grey = images.mean(1, keepdim=True)
        padded = F.pad(grey, (4, 4, 4, 4), mode="replicate")
        even, odd = F.conv2d(padded, self.filters, stride=2).chunk(2, dim=1)
        strength = (even.square() + odd.square() + 1e-6).sqrt()
        return torch.cat([strength, F.avg_pool2d(images, 2)], dim=1)


def _gabor_filters(directions: int, wavelength: float = 4, sigma: float = 2) -> Tensor:
    """(2 directions, 1, 9, 9): first the even ones, then the odd ones; each has sum 0."""
    place = torch.arange(-4.0, 5.0)
    y, x = torch.meshgrid(place, place, indexing="ij")
    window = torch.exp(-(x**2 + y**2) / (2 * sigma**2))
    filters = []
    for wave in (torch.cos, torch.sin):
        for index in range(directions):
            angle = math.pi * index / directions
            along = x * math.cos(angle) + y * math.sin(angle)
            stripes = wave(2 * math.pi * along / wavelength) * window
            filters.append(stripes - window * stripes.sum() / window.sum())
    return torch.stack(filters).unsqueeze(1)


class HardestPlaces(nn.Module):
    """A loss: cosine distance place by place, of which only the largest share counts.

    Args:
        share: Of each image's places, in (0, 1]; 1 is rdad's local_cosine.
    """

    def __init__(self, share: float = 0.25) -> None:
        super().__init__()
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1; found {share}")
        self.share = share

    def forward(
        self, encoder_features: Sequence[Tensor], decoder_features: Sequence[Tensor]
    ) -> Tensor:
        """Features (B, C_k, H_k, W_k), one a layer -> a float32 scalar."""
        return torch.stack(
            [
                self._layer(encoded.float(), decoded.float())
                for encoded, decoded in zip(encoder_features, decoder_features, strict=True)
            ]
        ).sum()

    def _layer(self, encoded: Tensor, decoded: Tensor) -> Tensor:
        distance = 1 - F.cosine_similarity(encoded, decoded, dim=1).flatten(1)  # (B, H_k W_k)
        kept = max(1, round(self.share * distance.shape[1]))
        return distance.topk(kept, dim=1).values.mean()


class StopWhenFlat(Callback):
    """A callback: ends the training once the loss has stopped falling.

    Args:
        epochs: So many in a row without a fall end it.
        fall: The least fall that counts, as a share of the lowest loss so far.
    """

    def __init__(self, epochs: int = 3, fall: float = 0.01) -> None:
        self.epochs, self.fall = epochs, fall
        self.lowest, self.flat = math.inf, 0

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        loss = float(trainer.callback_metrics["train/loss"])
        self.flat = 0 if loss < self.lowest * (1 - self.fall) else self.flat + 1
        self.lowest = min(self.lowest, loss)
        trainer.should_stop = trainer.should_stop or self.flat >= self.epochs

    def state_dict(self) -> dict[str, Any]:
        """Kept in the checkpoint, so that a training that is resumed goes on counting."""
        return {"lowest": self.lowest, "flat": self.flat}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.lowest, self.flat = state_dict["lowest"], state_dict["flat"]


class JsonLines(Logger):
    """A logger: a line of JSON for each time that figures are logged.

    Args:
        path: A file that lines are added to, from the folder that the command is given in.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = Path(path)

    @property
    def name(self) -> str:
        return "json_lines"

    @property
    def version(self) -> int:
        return 0

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Nothing: the run folder holds the configuration."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")
