"""The Lightning module: its optimiser, its steps, its checkpoint, and how it is configured."""

import copy
import logging
from pathlib import Path

import lightning as L
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from small_networks import ARGUMENTS, SIZE, assert_same, module, pixels, snapshot
from torch.utils.data import DataLoader

from rdad.config.compose import load_config
from rdad.model.lightning_model import ReverseDistillation, ReverseDistillationLightning
from rdad.model.loss import ReverseDistillationLoss


def batch() -> dict[str, torch.Tensor]:
    masks = torch.zeros(2, 1, *SIZE, dtype=torch.bool)
    masks[1, 0, :8] = True
    return {
        "images": pixels(),
        "indices": torch.tensor([0, 1]),
        "labels": torch.tensor([0, 1]),
        "masks": masks,
    }


class KeptLosses(L.Callback):
    """What each training step gave."""

    def __init__(self) -> None:
        self.kept: list[float] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.kept.append(outputs["loss"].item())


pytestmark = [
    pytest.mark.filterwarnings(f"ignore:.*{words}")
    for words in ("no `val_dataloader`", "LeafSpec", "in eval mode at the start of training")
]


def quiet_trainer(folder: Path) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=str(folder),
    )


def trained_checkpoint(network: ReverseDistillation, folder: Path) -> Path:
    """The file that Lightning writes after an epoch of two batches."""
    trainer = quiet_trainer(folder)
    trainer.fit(network, DataLoader([batch(), batch()], batch_size=None))
    trainer.save_checkpoint(folder / "last.ckpt")
    return folder / "last.ckpt"


def test_optimiser_is_adam_over_decoder_and_bottleneck_and_nothing_of_the_encoder():
    network = module()
    optimiser = network.configure_optimizers()
    assert type(optimiser) is torch.optim.Adam
    assert optimiser.defaults["lr"] == 0.005
    assert optimiser.defaults["betas"] == (0.5, 0.999)
    assert optimiser.defaults["weight_decay"] == 0 and not optimiser.defaults["amsgrad"]
    optimised = [id(p) for group in optimiser.param_groups for p in group["params"]]
    parts = [*network.model.decoder.parameters(), *network.model.bottleneck.parameters()]
    assert sorted(optimised) == sorted(id(parameter) for parameter in parts)
    assert not set(optimised) & {id(p) for p in network.model.encoder.parameters()}


def test_optimiser_takes_the_values_it_is_given():
    defaults = module(lr=0.1, beta1=0.8, beta2=0.9).configure_optimizers().defaults
    assert (defaults["lr"], *defaults["betas"]) == (0.1, 0.8, 0.9)


@pytest.mark.parametrize("kind", ["global_cosine", "local_cosine"])
def test_training_step_without_a_trainer_gives_the_loss_of_the_networks_features(kind: str):
    network = module(loss=kind).train()
    expected = ReverseDistillationLoss(kind)(*copy.deepcopy(network).model(pixels()))
    loss = network.training_step(batch(), 0)
    assert loss.requires_grad
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-6)


def test_training_lowers_the_loss_and_leaves_the_encoder_alone():
    network = module().train()
    before = snapshot(network.model.encoder)
    optimiser = network.configure_optimizers()
    losses = []
    for _ in range(6):
        optimiser.zero_grad()
        loss = network.training_step(batch())
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert_same(snapshot(network.model.encoder), before)


def test_validation_step_gives_images_maps_labels_masks_and_loss():
    network = module().eval()
    with torch.no_grad():
        found = network.validation_step(batch(), 0)
        maps = network(pixels())
        expected = ReverseDistillationLoss()(
            encoded := network.model.encode(pixels()), network.model.decode(encoded)
        )
    for name in ("images", "labels", "masks"):
        assert torch.equal(found[name], batch()[name])
    assert found["anomaly_maps"].shape == (2, 1, *SIZE)
    assert torch.equal(found["anomaly_maps"], maps)
    assert torch.equal(found["loss"], expected)


def test_module_called_with_images_is_its_network():
    network = module().eval()
    assert torch.equal(network(pixels()), network.model(pixels()))
    encoded, decoded = network.train()(pixels())
    assert [x.shape for x in encoded] == [x.shape for x in decoded]


def test_trainer_logs_the_loss_of_an_epoch(tmp_path: Path):
    trainer = quiet_trainer(tmp_path)
    losses = KeptLosses()
    trainer.callbacks.append(losses)
    trainer.fit(module(), DataLoader([batch(), batch()], batch_size=None))
    assert len(losses.kept) == 2 and losses.kept[0] != losses.kept[1]
    mean = sum(losses.kept) / 2
    assert trainer.callback_metrics["train/loss"].item() == pytest.approx(mean, rel=1e-5)


def test_checkpoint_comes_back_whole_without_the_encoder_in_it(tmp_path: Path):
    network = module(pre_trained=True, backbone="efficientnet_lite0", weights="default")
    path = trained_checkpoint(network, tmp_path)
    stored = torch.load(path, weights_only=True)["state_dict"]
    assert {name.split(".")[1] for name in stored} == {"bottleneck", "decoder"}
    arguments = {**ARGUMENTS, "backbone": "efficientnet_lite0"}
    again = ReverseDistillation.load_from_checkpoint(path, map_location="cpu", **arguments)
    assert_same(snapshot(again), snapshot(network))


def test_checkpoint_of_an_untrained_encoder_comes_back_whole(tmp_path: Path):
    network = module(seed=0)
    path = trained_checkpoint(network, tmp_path)
    torch.manual_seed(1)
    again = ReverseDistillation.load_from_checkpoint(
        path, map_location="cpu", **ARGUMENTS, pre_trained=False
    )
    assert_same(snapshot(again), snapshot(network))


def test_saving_a_checkpoint_does_not_take_the_encoder_from_the_module(tmp_path: Path):
    network = module(backbone="efficientnet_lite0", pre_trained=True)
    before = set(network.state_dict())
    trained_checkpoint(network, tmp_path)
    assert set(network.state_dict()) == before


def test_weights_null_leaves_the_encoder_untrained_and_says_so(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, logger="rdad"):
        network = module(pre_trained=True, weights=None)
    assert "untrained" in caplog.text
    assert network.network_arguments["pre_trained"] is False


def composed(*overrides: str) -> DictConfig:
    return load_config(
        "backbone=resnet18",
        "model.weights=null",
        "dataset.image_size=[64,96]",
        "layers=layer23",
        "mode=multiply",
        "loss=local_cosine",
        *overrides,
    )


@pytest.mark.parametrize("whole", [True, False], ids=["whole configuration", "model node"])
def test_configured_module_is_what_hydra_composed(whole: bool):
    cfg = composed("model.lr=0.01")
    network = ReverseDistillationLightning(cfg if whole else cfg.model)
    assert isinstance(network, ReverseDistillation)
    assert network.model.input_size == (64, 96)
    assert network.model.layers == ("layer2", "layer3")
    assert network.model.anomaly_map.mode == "multiply"
    assert network.loss.kind == "local_cosine"
    assert (network.lr, network.betas) == (0.01, (0.5, 0.999))


def test_configured_module_holds_plain_arguments():
    arguments = ReverseDistillationLightning(composed()).network_arguments
    assert type(arguments["layers"]) is list and type(arguments["input_size"]) is list
    assert arguments["weights"] is None and not arguments["pre_trained"]


def test_configured_module_may_be_a_list_of_the_arguments_in_order():
    values = OmegaConf.create([[64, 64], "resnet18", ["layer1"], "add", 0.1, 0.5, 0.9, False])
    network = ReverseDistillationLightning(values)
    assert network.model.layers == ("layer1",)
    assert (network.lr, network.betas) == (0.1, (0.5, 0.9))
    assert network.network_arguments["pre_trained"] is False


def test_configured_module_trains_like_one_that_was_constructed():
    cfg = OmegaConf.create({**ARGUMENTS, "pre_trained": False})
    torch.manual_seed(0)
    configured = ReverseDistillationLightning(cfg)
    assert_same(snapshot(configured), snapshot(module()))
