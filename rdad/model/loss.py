"""Cosine distances that the decoder learns by."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

LossName = Literal["global_cosine", "local_cosine"]

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


class ReverseDistillationLoss(nn.Module):
    """Disagreement of decoder and encoder, summed over the layers and averaged over the batch.

    Called with the encoder's and the decoder's features, one (B, C_k, H_k, W_k) per layer each,
    it gives a float32 scalar.

    Args:
        kind: `global_cosine` compares each sample's whole feature map as one vector, as the
            authors' program does and as reproduces the paper; `local_cosine` compares channel
            vectors place by place and averages, as the paper's equations 1 and 2 write it.

    Raises:
        ValueError: unknown kind; or, when called, features that do not pair up.

    Source: Deng & Li, CVPR 2022, and the authors' main.py.
    """

    def __init__(self, kind: LossName = "global_cosine") -> None:
        super().__init__()
        if kind not in ("global_cosine", "local_cosine"):
            raise ValueError(f"loss must be global_cosine or local_cosine; found {kind!r}")
        self.kind = kind

    def forward(
        self, encoder_features: Sequence[Tensor], decoder_features: Sequence[Tensor]
    ) -> Tensor:
        checked_features(decoder_features, encoder_features)
        dim = (1, 2, 3) if self.kind == "global_cosine" else 1
        distances = [
            cosine_distance(decoded, encoded, dim=dim).mean()
            for encoded, decoded in zip(encoder_features, decoder_features, strict=True)
        ]
        return torch.stack(distances).sum()
