"""Training and evaluation as published: one process, float32, every image decoded every epoch."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Sampler

from rdad.benchmark.plain.images import PlainImages
from rdad.benchmark.plain.metrics import plain_aupro, plain_auroc
from rdad.benchmark.plain.network import plain_copy
from rdad.data.samples import Sample
from rdad.model.torch_model import ReverseDistillationModel


class PlainRecipe:
    """The published program around a copy of `model`'s weights, on `model`'s device.

    The encoder is frozen only by not being given to the optimiser: gradients are computed through
    all of it, as in the authors' program. Maps are joined by `add`.

    Args:
        backbone: What `model` was built with.
    """

    def __init__(
        self,
        model: ReverseDistillationModel,
        backbone: str,
        *,
        lr: float = 0.005,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        self.size = model.input_size
        self.mean, self.std = model.encoder.pixel_mean, model.encoder.pixel_std
        self.device = self.mean.device
        self.encoder, self.bottleneck, self.decoder = plain_copy(model, backbone)
        trained = [*self.decoder.parameters(), *self.bottleneck.parameters()]
        self.optimizer = torch.optim.Adam(trained, lr=lr, betas=betas)

    def images(self, samples: Sequence[Sample]) -> PlainImages:
        return PlainImages(samples, self.size, self.mean, self.std)

    def train_epoch(
        self, samples: Sequence[Sample], batch_size: int, order: Sampler[int] | None = None
    ) -> list[float]:
        """The loss of each step; without an `order` the images are shuffled."""
        self.bottleneck.train()
        self.decoder.train()
        batches = DataLoader(
            self.images(samples), batch_size=batch_size, shuffle=order is None, sampler=order
        )
        return [self.train_step(images) for images, _, _ in batches]

    def train_step(self, images: Tensor) -> float:
        """One step on normalised images (B, 3, H, W)."""
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
        scored = (
            (self.anomaly_map(image), mask, label) for image, mask, label in self._singly(samples)
        )
        return plain_figures(scored)

    def _singly(self, samples: Sequence[Sample]) -> Iterable[tuple[Tensor, NDArray[np.bool_], int]]:
        for image, mask, label in DataLoader(self.images(samples), batch_size=1):
            yield image, mask[0].numpy(), int(label)


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
    pixel_labels: list[int] = []
    pixel_scores: list[float] = []
    labels: list[int] = []
    scores: list[float] = []
    aupros: list[float] = []
    for anomaly_map, mask, label in scored:
        if label != 0:
            aupros.append(plain_aupro(anomaly_map, mask))
        pixel_labels.extend(mask.astype(int).ravel())
        pixel_scores.extend(anomaly_map.ravel())
        labels.append(label)
        scores.append(float(anomaly_map.max()))
    return {
        "image_auroc": plain_auroc(scores, labels),
        "pixel_auroc": plain_auroc(pixel_scores, pixel_labels),
        "aupro": float(np.mean(aupros)) if aupros else float("nan"),
    }
