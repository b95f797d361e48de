"""Training and evaluation as published, written plainly: nothing is kept, fused or batched.

One process, float32, every image decoded in every epoch, metrics over lists and tables.
"""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.measure import label, regionprops
from sklearn.metrics import auc, roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import Compose, Normalize, Resize, ToTensor

from rdad.data.samples import Sample
from rdad.model.encoder import Encoder
from rdad.model.torch_model import ReverseDistillationModel

LR, BETAS = 0.005, (0.5, 0.999)  # the authors' main.py
AUPRO_THRESHOLDS = 200


class PlainImages(Dataset[tuple[Tensor, Tensor, int]]):
    """(image, mask, label): float32 (3, H, W) normalised, bool (H, W), 0 or 1.

    Args:
        size: (height, width).
        mean, std: Of pixels in [0, 1], (3, 1, 1).
    """

    def __init__(
        self, samples: Sequence[Sample], size: tuple[int, int], mean: Tensor, std: Tensor
    ) -> None:
        self.samples = samples
        self.resized: Any = Compose([Resize(size), ToTensor()])
        self.normalised = Normalize(mean.flatten().tolist(), std.flatten().tolist())

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, int]:
        sample = self.samples[index]
        image = self.normalised(self.resized(Image.open(sample.image).convert("RGB")))
        mask = torch.zeros(image.shape[1:], dtype=torch.bool)
        for path in sample.masks:
            mask |= self.resized(Image.open(path).convert("L"))[0] > 0.5
        return image, mask, sample.label


class PlainEncoder(nn.Module):
    """The whole pretrained network, run to its end; its parameters take gradients.

    Called with images (B, 3, H, W), it gives the features at strides 4, 8 and 16.
    """

    def __init__(self, backbone: str, encoder: Encoder) -> None:
        super().__init__()
        known: Any = encoder.network
        weights = getattr(known, "network", known).state_dict()
        self.network: Any = timm.create_model(getattr(known, "timm_name", backbone))
        self.network.load_state_dict(weights, strict=False)
        self.indices = getattr(known, "indices", [1, 2, 3])  # of a ResNet: behind its stem

    def forward(self, images: Tensor) -> list[Tensor]:
        """The last stage is computed too, as by the authors' encoder, and nobody reads it."""
        return self.network.forward_intermediates(
            images, indices=self.indices, output_fmt="NCHW", intermediates_only=True
        )


class PlainRecipe:
    """The published program around a copy of `model`'s weights, on `model`'s device.

    The encoder is frozen only by not being given to the optimiser: gradients are computed through
    all of it, as in the authors' program. Maps are joined by `add`.

    Args:
        model: Uses layer1, layer2 and layer3.
        backbone: What `model` was built with.
    """

    def __init__(self, model: ReverseDistillationModel, backbone: str) -> None:
        known = model.encoder
        self.size, self.mean, self.std = model.input_size, known.pixel_mean, known.pixel_std
        self.device = self.mean.device
        self.encoder = PlainEncoder(backbone, known).to(self.device).eval()
        contiguous = {"memory_format": torch.contiguous_format}
        self.bottleneck: nn.Module = deepcopy(model.bottleneck).to(**contiguous)
        self.decoder: nn.Module = deepcopy(model.decoder).to(**contiguous)
        trained = [*self.decoder.parameters(), *self.bottleneck.parameters()]
        self.optimizer = torch.optim.Adam(trained, lr=LR, betas=BETAS)

    def images(self, samples: Sequence[Sample]) -> PlainImages:
        return PlainImages(samples, self.size, self.mean, self.std)

    def train_epoch(self, samples: Sequence[Sample], batch_size: int) -> None:
        self.bottleneck.train()
        self.decoder.train()
        for images, _, _ in DataLoader(self.images(samples), batch_size=batch_size, shuffle=True):
            self.train_step(images)

    def train_step(self, images: Tensor) -> float:
        """One step on normalised images (B, 3, H, W); gives its loss."""
        teacher = self.encoder(images.to(self.device))
        student = self.decoder(self.bottleneck(teacher))
        loss = plain_loss(teacher, student)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def anomaly_map(self, image: Tensor) -> NDArray[np.float32]:
        """(H, W) of one normalised image (1, 3, H, W)."""
        teacher = self.encoder(image.to(self.device))
        student = self.decoder(self.bottleneck(teacher))
        return plain_map(teacher, student, self.size)

    def evaluate(self, samples: Sequence[Sample]) -> dict[str, float]:
        """`image_auroc`, `pixel_auroc`, and `aupro` as the mean over defective images."""
        self.bottleneck.eval()
        self.decoder.eval()
        return plain_figures(
            (self.anomaly_map(image), mask[0].numpy(), int(label))
            for image, mask, label in DataLoader(self.images(samples), batch_size=1)
        )


def plain_loss(teacher: Sequence[Tensor], student: Sequence[Tensor]) -> Tensor:
    """Whole feature maps compared as vectors, summed over the scales, averaged over the batch."""
    loss = torch.zeros((), device=teacher[0].device)
    for a, b in zip(teacher, student, strict=True):
        similarity = F.cosine_similarity(a.reshape(len(a), -1), b.reshape(len(b), -1))
        loss = loss + torch.mean(1 - similarity)
    return loss


def plain_map(
    teacher: Sequence[Tensor], student: Sequence[Tensor], size: tuple[int, int]
) -> NDArray[np.float32]:
    """(H, W): the scales' distances of one image upsampled, added on the host, and blurred."""
    total = np.zeros(size, np.float32)
    for a, b in zip(teacher, student, strict=True):
        distance = 1 - F.cosine_similarity(a, b)  # (1, h, w)
        large = F.interpolate(distance[None], size=size, mode="bilinear", align_corners=True)
        total += large[0, 0].cpu().numpy()
    return np.asarray(gaussian_filter(total, sigma=4), np.float32)


def plain_figures(
    scored: Iterable[tuple[NDArray[np.float32], NDArray[np.bool_], int]],
) -> dict[str, float]:
    """The figures of (map, mask, label) triples, gathered in lists of single pixels."""
    maps, masks, labels = zip(*scored, strict=True)
    pixel_scores = [value for one in maps for value in one.ravel()]
    pixel_labels = [value for one in masks for value in one.astype(int).ravel()]
    defective = [place for place, label in enumerate(labels) if label != 0]
    aupros = [plain_aupro(maps[place], masks[place]) for place in defective]
    return {
        "image_auroc": plain_auroc([float(one.max()) for one in maps], labels),
        "pixel_auroc": plain_auroc(pixel_scores, pixel_labels),
        "aupro": float(np.mean(aupros)) if aupros else float("nan"),
    }


def plain_auroc(scores: Sequence[float], labels: Sequence[int]) -> float:
    """scikit-learn's area under the ROC curve; nan with one class only."""
    return float(roc_auc_score(labels, scores)) if len(set(labels)) > 1 else float("nan")


def plain_aupro(anomaly_map: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """One image's area under the per-region overlap below a false-positive rate of 0.3.

    As published: 200 thresholds, and at each of them the regions are found anew, every pixel is
    counted, and the table of results is made anew with one row more.
    """
    lowest, highest = float(anomaly_map.min()), float(anomaly_map.max())
    curve = pd.DataFrame()
    for threshold in np.arange(lowest, highest, (highest - lowest) / AUPRO_THRESHOLDS):
        alarms = anomaly_map > threshold
        found = []
        for region in regionprops(label(mask)):
            rows, columns = region.coords[:, 0], region.coords[:, 1]
            found.append(alarms[rows, columns].sum() / region.area)
        rate = (alarms & ~mask).sum() / (~mask).sum()
        point = {"overlap": np.mean(found), "rate": rate, "threshold": threshold}
        curve = pd.concat([curve, pd.DataFrame([point])], ignore_index=True)
    curve = curve[curve["rate"] < 0.3]
    return float(auc(curve["rate"] / curve["rate"].max(), curve["overlap"]))
