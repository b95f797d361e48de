"""Cosine distances that the decoder learns by."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rdad.model.names import LossName

Weighting = Literal["hard_mining", "loose"]

RAMP = 0.1  # of the training, in which a weighting comes to its full strength: ReContrast's
_EPS = 1e-8  # torch's cosine_similarity: the smallest norm that is divided by


def checked_features(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
    """Raises ValueError unless both hold as many tensors, at least one, of equal shapes."""
    shapes = [tuple(x.shape) for x in student], [tuple(x.shape) for x in teacher]
    if shapes[0] != shapes[1] or not shapes[0]:
        raise ValueError(
            "features of decoder and encoder must be as many, at least one, and of equal shapes; "
            f"found {shapes[0]} and {shapes[1]}"
        )


def cosine_distance(a: Tensor, b: Tensor, *, dim: int | tuple[int, ...]) -> Tensor:
    """1 − cosine similarity over `dim`, computed in float32, in [0, 2] to rounding."""
    a, b = a.float(), b.float()
    dot = (a * b).sum(dim)
    norms = [torch.linalg.vector_norm(x, dim=dim).clamp_min(_EPS) for x in (a, b)]
    return 1 - dot / (norms[0] * norms[1])


def _distance_of_places(a: Tensor, b: Tensor) -> Tensor:
    """`cosine_distance` over the channels to rounding, (B, 1, H, W): norms along them are slow."""
    lengths = [x.square().sum(1, keepdim=True).sqrt().clamp_min(_EPS) for x in (a, b)]
    return 1 - (a * b).sum(1, keepdim=True) / (lengths[0] * lengths[1])


def valid_places(valid: Tensor, features: Tensor) -> Tensor:
    """Which places of a layer's map count: those with a valid pixel in their cell.

    Args:
        valid: (B, 1, H, W), bool, False at the pixels that are ignored.
        features: (B, C, h, w), where h and w divide H and W.

    Returns:
        (B, 1, h, w), float32, 0 or 1.
    """
    (height, width), (rows, columns) = valid.shape[2:], features.shape[2:]
    return F.max_pool2d(valid.float(), (height // rows, width // columns))


class GradientWeights(nn.Module):
    """How much of the loss's gradient each place of a decoder's map takes: all where it is hard.

    Called with a layer's features of encoder and decoder, (B, C, H, W), it gives (B, 1, H, W),
    float32, without a gradient of its own. With `valid_places` these alone say what is hard.

    Args:
        kind: `hard_mining`: none below mean + α standard deviations of the batch's distances, α
            from −3 to 1. `loose`: a tenth below what the hardest share of the batch's places
            reach, that share from 1 to 0.1. Both move within the first RAMP of a training.

    Source: ReContrast (Guo et al., NeurIPS 2023) and Dinomaly (Guo et al., CVPR 2025), whose
    programs change the gradient in hooks; the ramp of the second has a length of its own there.
    """

    bound: Tensor

    def __init__(self, kind: Weighting) -> None:
        super().__init__()
        self.kind = kind
        # a tensor, so that compiled steps and CUDA graphs see it move
        self.register_buffer("bound", torch.tensor(0.0), persistent=False)
        self.follow(0)

    def follow(self, progress: float) -> None:
        """Take note of the share of the training that is done."""
        ramp = min(progress / RAMP, 1)
        self.bound.fill_(-3 + 4 * ramp if self.kind == "hard_mining" else 1 - 0.9 * ramp)

    @torch.no_grad()
    def forward(self, encoded: Tensor, decoded: Tensor, places: Tensor | None = None) -> Tensor:
        distances = _distance_of_places(encoded.float(), decoded.float())
        counted = distances if places is None else distances[places > 0]
        if self.kind == "hard_mining":
            least, otherwise = counted.mean() + self.bound * counted.std(), 0.0
        else:
            hardest_first = counted.flatten().sort(descending=True).values
            last = (self.bound * len(hardest_first)).round().clamp_min(1).long() - 1
            least, otherwise = hardest_first.index_select(0, last.view(1)), 0.1
        return torch.where(distances >= least, 1.0, otherwise)


class _WeightedGradient(torch.autograd.Function):
    """A map as it is, whose gradient comes back times the weights; other uses of it are left out.

    No hook, so torch.compile takes it; it costs one multiplication.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(weights)
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor, None]:
        (weights,) = ctx.saved_tensors
        return grad_outputs[0] * weights, None


class ReverseDistillationLoss(nn.Module):
    """Disagreement of decoder and encoder, summed over the layers and averaged over the batch.

    Called with the encoder's and the decoder's features, one (B, C_k, H_k, W_k) per layer each,
    it gives a float32 scalar. With `valid` (B, 1, H, W), bool, what is False there is ignored: only
    `valid_places` have a part in the loss and its gradient.

    Args:
        kind: `global_cosine` compares each sample's whole feature map as one vector, as the
            authors' program does and as reproduces the paper; `local_cosine` compares channel
            vectors place by place and averages, as the paper's equations 1 and 2 write it.
            `hard_mining` and `loose` have the value of `global_cosine`, and of its gradient what
            `GradientWeights` leaves. The gradient that comes back from the decoder's next stage
            is left whole, but for the `..._chained` ones: there a place weighs both, as the
            authors' hooks would in a decoder whose stages follow one another. That takes hooks.

    Attributes:
        follow: To be called before each step with the share of the training that is done; None
            where that changes nothing.

    Raises:
        ValueError: unknown kind; or, when called, features that do not pair up.

    Source: Deng & Li, CVPR 2022, and the authors' main.py.
    """

    def __init__(self, kind: LossName = "global_cosine") -> None:
        super().__init__()
        if kind not in get_args(LossName):
            raise ValueError(f"loss must be one of {', '.join(get_args(LossName))}; found {kind!r}")
        self.kind = kind
        weighting = kind.removesuffix("_chained")
        is_weighted = weighting in get_args(Weighting)
        self.weights = GradientWeights(cast(Weighting, weighting)) if is_weighted else None

    @property
    def follow(self) -> Callable[[float], None] | None:
        return None if self.weights is None else self.weights.follow

    def forward(
        self,
        encoder_features: Sequence[Tensor],
        decoder_features: Sequence[Tensor],
        valid: Tensor | None = None,
    ) -> Tensor:
        checked_features(decoder_features, encoder_features)
        distances = [
            self._distance(*pair, None if valid is None else valid_places(valid, pair[0]))
            for pair in zip(encoder_features, decoder_features, strict=True)
        ]
        return torch.stack(distances).sum()

    def _distance(self, encoded: Tensor, decoded: Tensor, places: Tensor | None) -> Tensor:
        """One layer's part of the loss; where there are `valid_places`, of these alone."""
        decoded = self._weighted(encoded, decoded, places)
        if self.kind == "local_cosine":
            each = cosine_distance(decoded, encoded, dim=1)
            return each.mean() if places is None else (each * places[:, 0]).sum() / places.sum()
        if places is not None:
            decoded, encoded = decoded * places, encoded * places
        return cosine_distance(decoded, encoded, dim=(1, 2, 3)).mean()

    def _weighted(self, encoded: Tensor, decoded: Tensor, places: Tensor | None) -> Tensor:
        """The decoder's features, whose gradient will be weighted."""
        if self.weights is None or not decoded.requires_grad:
            return decoded
        weights = self.weights(encoded, decoded, places)
        if self.kind.endswith("_chained"):
            decoded.register_hook(lambda gradient: gradient * weights.to(gradient.dtype))
            return decoded
        return _WeightedGradient.apply(decoded.float(), weights)
