"""The network as Lightning trains it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from omegaconf import DictConfig, ListConfig, OmegaConf
from torch import Tensor, nn

from rdad.model.anomaly_map import Mode
from rdad.model.encoder import DEFAULT_WEIGHTS
from rdad.model.loss import LossName, ReverseDistillationLoss
from rdad.model.torch_model import ReverseDistillationModel

Batch = Mapping[str, Tensor]


class ReverseDistillation(L.LightningModule):
    """Reverse Distillation with its loss and its optimiser.

    Batches are dictionaries: `images` (B, 3, H, W), uint8 pixels or normalised floats; for
    validation and test also `labels` (B,), 1 for anomalous, and `masks` (B, 1, H, W), bool.

    Args:
        input_size: (height, width).
        backbone, layers, anomaly_map_mode: See `ReverseDistillationModel`.
        lr, beta1, beta2: Adam's.
        pre_trained: False leaves the encoder untrained.
        weights: `default`, the name of a torchvision weights entry, or a file; None leaves the
            encoder untrained.
        loss: `global_cosine` or `local_cosine`, see `ReverseDistillationLoss`; or what is called
            in its place, with the encoder's and the decoder's features, and gives a scalar.
        sigma: Standard deviation of the map's blur in pixels.

    Attributes:
        features: If set, it is called with the batch's `indices` (B,) and gives the encoder's
            features, one float32 (B, C, h, w) a layer; training does not look at the images then.
    """

    def __init__(
        self,
        input_size: Sequence[int],
        backbone: str | nn.Module,
        layers: Sequence[str],
        anomaly_map_mode: Mode,
        lr: float,
        beta1: float,
        beta2: float,
        pre_trained: bool = True,
        weights: str | Path | None = DEFAULT_WEIGHTS,
        loss: LossName | nn.Module = "global_cosine",
        sigma: float = 4,
    ) -> None:
        super().__init__()
        self.network_arguments: dict[str, Any] = {
            "backbone": backbone,
            "input_size": [int(side) for side in input_size],
            "layers": [str(layer) for layer in layers],
            "anomaly_map_mode": anomaly_map_mode,
            "pre_trained": pre_trained and weights is not None,
            "weights": None if weights is None else str(weights),
            "sigma": float(sigma),
        }
        self.model = ReverseDistillationModel(**self.network_arguments)
        self.loss = loss if isinstance(loss, nn.Module) else ReverseDistillationLoss(loss)
        self.lr, self.betas = lr, (beta1, beta2)
        self.features: Callable[[Tensor], list[Tensor]] | None = None
        self._reconstruction = self.reconstruction_loss

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]] | Tensor:
        return self.model(images)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        trained = [*self.model.decoder.parameters(), *self.model.bottleneck.parameters()]
        return torch.optim.Adam(trained, lr=self.lr, betas=self.betas, fused=True)

    def training_step(self, batch: Batch, batch_index: int = 0) -> Tensor:
        if self.features is not None:
            encoder_features = self.features(batch["indices"])
        else:
            encoder_features = self.model.encode(batch["images"])
        loss = self._reconstruction(encoder_features)
        self._log("train/loss", loss, len(encoder_features[0]))
        return loss

    def reconstruction_loss(self, encoder_features: Sequence[Tensor]) -> Tensor:
        """What a training step minimises, of features (B, C, h, w) a layer."""
        return self.loss(encoder_features, self.model.decode(encoder_features))

    def compile_training(self, **options: Any) -> None:
        """Let training steps run `reconstruction_loss` through `torch.compile(**options)`."""
        self._reconstruction = torch.compile(self.reconstruction_loss, **options)

    def validation_step(self, batch: Batch, batch_index: int = 0) -> dict[str, Tensor]:
        """`images`, `anomaly_maps` (B, 1, H, W) raw, `labels`, `masks`, and the batch's `loss`."""
        encoder_features = self.model.encode(batch["images"])
        decoder_features = self.model.decode(encoder_features)
        loss = self.loss(encoder_features, decoder_features)
        self._log("val/loss", loss, len(batch["images"]))
        maps = self.model.anomaly_map(decoder_features, encoder_features)
        return {**batch, "anomaly_maps": maps, "loss": loss}

    def _log(self, name: str, value: Tensor, batch_size: int) -> None:
        if self._trainer is None:  # the steps also work without a Trainer
            return
        self.log(name, value, on_step=False, on_epoch=True, batch_size=batch_size, sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The encoder never changes: it stays out of the file, unless it cannot be had again."""
        if not self.network_arguments["pre_trained"]:
            return
        state = checkpoint["state_dict"]
        for name in [name for name in state if name.startswith("model.encoder.")]:
            del state[name]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name, tensor in self.state_dict().items():
            if name.startswith("model.encoder."):
                checkpoint["state_dict"].setdefault(name, tensor)


class ReverseDistillationLightning(ReverseDistillation):
    """`ReverseDistillation` from what Hydra composed.

    Args:
        hparams: The whole configuration, or its `model` node; or a list of the arguments in order.
    """

    def __init__(self, hparams: DictConfig | ListConfig) -> None:
        node = hparams
        if isinstance(hparams, DictConfig) and "model" in hparams:
            node = hparams.model
        arguments: Any = OmegaConf.to_container(node, resolve=True)
        if isinstance(arguments, list):
            super().__init__(*arguments)
        else:
            arguments.pop("_target_", None)
            super().__init__(**arguments)
