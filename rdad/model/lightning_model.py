"""The network as Lightning trains it."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from omegaconf import DictConfig, ListConfig, OmegaConf
from torch import Tensor, nn

from rdad.model.encoder import DEFAULT_WEIGHTS
from rdad.model.loss import ReverseDistillationLoss
from rdad.model.names import LossName, Mode, OptimizerName, ScheduleName
from rdad.model.optimizers import lr_factor, optimizer_of
from rdad.model.torch_model import ReverseDistillationModel

Batch = Mapping[str, Tensor]


class ReverseDistillation(L.LightningModule):
    """Reverse Distillation with its loss and its optimiser.

    Batches are dictionaries: `images` (B, 3, H, W), uint8 pixels or normalised floats; for
    validation and test also `labels` (B,), 1 for anomalous, and `masks` (B, 1, H, W), bool. Where
    not all pixels are looked at, `valid` (B, 1, H, W), bool, is False at those that are ignored.

    Args:
        input_size: (height, width).
        backbone, layers, anomaly_map_mode: See `ReverseDistillationModel`.
        lr, beta1, beta2: Adam's.
        pre_trained: False leaves the encoder untrained.
        weights: `default`, the name of a torchvision weights entry, or a file; None leaves the
            encoder untrained.
        loss: A name, see `ReverseDistillationLoss`; or what is called in its place, with the
            encoder's and the decoder's features, and gives a scalar. If that has `follow`, as
            ours, a Trainer's steps call it. Where batches have `valid`, it gets that by its name.
        sigma: Standard deviation of the map's blur in pixels.
        optimizer, weight_decay: See `rdad.model.optimizers.optimizer_of`.
        clip_norm: The length that the gradient of all weights together is cut to; None leaves it.
        schedule, warmup_steps: See `rdad.model.optimizers.lr_factor`; a Trainer counts the steps.
        bottleneck_dropout, feature_jitter: Noise in training, see `Bottleneck`.
        score_share: See `rdad.model.anomaly_map.image_scores`.

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
        optimizer: OptimizerName = "adam",
        weight_decay: float = 0,
        clip_norm: float | None = None,
        schedule: ScheduleName = "constant",
        warmup_steps: int = 0,
        bottleneck_dropout: float = 0,
        feature_jitter: float = 0,
        score_share: float = 0,
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
            "score_share": float(score_share),
        }
        self.model = ReverseDistillationModel(**self.network_arguments)
        self.model.bottleneck.dropout = bottleneck_dropout
        self.model.bottleneck.feature_jitter = feature_jitter
        self.loss = loss if isinstance(loss, nn.Module) else ReverseDistillationLoss(loss)
        self.lr, self.betas = lr, (beta1, beta2)
        self.optimizer_name: OptimizerName = optimizer
        self.weight_decay, self.clip_norm = weight_decay, clip_norm
        self.schedule: ScheduleName = schedule
        self.warmup_steps = warmup_steps
        self.features: Callable[[Tensor], list[Tensor]] | None = None
        self._reconstruction = self.reconstruction_loss
        self._steps, self._seed = math.inf, 0  # of the training, until it begins

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]] | Tensor:
        return self.model(images)

    @property
    def follows_length(self) -> bool:
        """Whether a step depends on how many there are in all."""
        return self.schedule != "constant" or getattr(self.loss, "follow", None) is not None

    def configure_optimizers(self) -> Any:
        """The optimiser; in a Trainer with its schedule, where the learning rate changes."""
        trained = [*self.model.decoder.parameters(), *self.model.bottleneck.parameters()]
        options = {"lr": self.lr, "betas": self.betas, "weight_decay": self.weight_decay}
        optimizer = optimizer_of(self.optimizer_name, trained, **options)
        if self._trainer is None or (self.schedule == "constant" and not self.warmup_steps):
            return optimizer
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self._lr_factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def _lr_factor(self, step: int) -> float:
        warmup, steps = self.warmup_steps, self._steps
        return lr_factor(step, schedule=self.schedule, warmup_steps=warmup, steps=steps)

    def on_train_start(self) -> None:
        self._steps, self._seed = self.trainer.estimated_stepping_batches, torch.initial_seed()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Noise depends on seed and step alone, so that a training that goes on draws the same."""
        if self.model.bottleneck.is_noisy:
            place = [self._seed, self.global_step, self.global_rank]
            key = np.random.SeedSequence(place).generate_state(1, np.uint64)[0]
            torch.manual_seed(int(key >> np.uint64(1)))

    def configure_gradient_clipping(self, optimizer: Any, *given: Any, **named: Any) -> None:
        """By `clip_norm`; without it as a Trainer's `gradient_clip_val` says.

        Lightning's own refuses fused optimisers in bf16, though that scales no gradient.
        """
        if self.clip_norm is None:
            super().configure_gradient_clipping(optimizer, *given, **named)
            return
        trained = [one for group in optimizer.param_groups for one in group["params"]]
        nn.utils.clip_grad_norm_(trained, self.clip_norm)

    def training_step(self, batch: Batch, batch_index: int = 0) -> Tensor:
        if self.features is not None:
            encoder_features = self.features(batch["indices"])
        else:
            encoder_features = self.model.encode(batch["images"])
        follow = getattr(self.loss, "follow", None)
        if follow is not None and self._trainer is not None:
            follow(self.trainer.global_step / self._steps)
        loss = self._reconstruction(encoder_features, batch.get("valid"))
        self._log("train/loss", loss, len(encoder_features[0]))
        return loss

    def reconstruction_loss(
        self, encoder_features: Sequence[Tensor], valid: Tensor | None = None
    ) -> Tensor:
        """What a training step minimises, of features (B, C, h, w) a layer."""
        return self._loss(encoder_features, self.model.decode(encoder_features), valid)

    def _loss(self, encoded: Sequence[Tensor], decoded: Sequence[Tensor], valid: Any) -> Tensor:
        """A loss of somebody's own has to know of `valid` only where there is one."""
        return self.loss(encoded, decoded, **({} if valid is None else {"valid": valid}))

    def compile_training(self, **options: Any) -> None:
        """Let training steps run `reconstruction_loss` through `torch.compile(**options)`."""
        self._reconstruction = torch.compile(self.reconstruction_loss, **options)

    def validation_step(self, batch: Batch, batch_index: int = 0) -> dict[str, Tensor]:
        """`images`, `anomaly_maps` (B, 1, H, W) raw, `labels`, `masks`, and the batch's `loss`."""
        encoder_features = self.model.encode(batch["images"])
        decoder_features = self.model.decode(encoder_features)
        valid = batch.get("valid")
        loss = self._loss(encoder_features, decoder_features, valid)
        self._log("val/loss", loss, len(batch["images"]))
        maps = self.model.anomaly_map(decoder_features, encoder_features, valid)
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
            of_the_run = {"_target_", "start_from"}
            super().__init__(**{k: v for k, v in arguments.items() if k not in of_the_run})
