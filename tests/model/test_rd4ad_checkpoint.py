"""A checkpoint of the authors' program gives the authors' maps and loss."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from intruder import Intruder
from PIL import Image
from small_networks import LAYERS, assert_same, snapshot, untrained
from torch import Tensor

from rdad.model.loss import ReverseDistillationLoss
from rdad.model.torch_model import ReverseDistillationModel

SIZE = (256, 256)


@pytest.fixture(scope="module")
def checkpoint(assets: Path) -> Path:
    return assets / "reference" / "rd4ad_resnet18.pt"


@pytest.fixture(scope="module")
def stored(checkpoint: Path) -> dict[str, Any]:
    return torch.load(checkpoint, weights_only=True)


@pytest.fixture(scope="module")
def images(assets: Path, stored: dict[str, Any]) -> Tensor:
    """(B, 3, 256, 256) uint8: the images that the checkpoint names, resized as the authors do."""
    folder = assets / "data" / "mvtec_ad" / "toothbrush"
    pictures = [Image.open(folder / name).convert("RGB") for name in stored["images"]]
    resized = [picture.resize(SIZE, Image.Resampling.BILINEAR) for picture in pictures]
    return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2)


def loaded(checkpoint: Path, weights: Path, mode: str) -> ReverseDistillationModel:
    model = ReverseDistillationModel("resnet18", SIZE, LAYERS, mode, weights=weights)
    model.load_rd4ad_checkpoint(checkpoint)
    return model.eval()


@pytest.mark.parametrize("mode", ["add", "multiply"])
def test_checkpoint_gives_the_authors_maps(
    mode: str, checkpoint: Path, resnet18_weights: Path, images: Tensor, stored: dict[str, Any]
):
    with torch.no_grad():
        maps = loaded(checkpoint, resnet18_weights, mode)(images)
    torch.testing.assert_close(maps[:, 0], stored[f"map_{mode}"], rtol=0, atol=1e-5)


def test_checkpoint_gives_the_authors_loss_and_features(
    checkpoint: Path, resnet18_weights: Path, images: Tensor, stored: dict[str, Any]
):
    model = loaded(checkpoint, resnet18_weights, "add")
    with torch.no_grad():
        encoded = model.encode(images)
        decoded = model.decode(encoded)
    loss = ReverseDistillationLoss()(encoded, decoded)
    torch.testing.assert_close(loss, stored["loss"], rtol=0, atol=1e-5)
    found = torch.tensor([[x.mean(), x.std()] for x in decoded])
    torch.testing.assert_close(found, stored["decoder_features_mean_std"], rtol=1e-4, atol=1e-5)


def test_checkpoint_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*absent\.pt"):
        untrained().load_rd4ad_checkpoint(tmp_path / "absent.pt")


@pytest.mark.parametrize("content", [{"bn": {}}, {"decoder": {}, "net": {}}, [1], torch.zeros(1)])
def test_file_without_bn_and_decoder_is_refused(content: object, tmp_path: Path):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt must hold the keys bn and decoder; found"):
        untrained().load_rd4ad_checkpoint(tmp_path / "other.pt")


def test_file_that_is_no_checkpoint_is_refused(tmp_path: Path):
    (tmp_path / "text.pt").write_text("no tensors")
    with pytest.raises(ValueError, match=r"text\.pt is no readable checkpoint"):
        untrained().load_rd4ad_checkpoint(tmp_path / "text.pt")


def test_file_with_code_is_refused_and_the_code_does_not_run(tmp_path: Path):
    content = {"bn": {"conv1.weight": Intruder(tmp_path / "ran")}, "decoder": {}}
    torch.save(content, tmp_path / "evil.pt")
    with pytest.raises(ValueError, match=r"evil\.pt is no readable checkpoint"):
        untrained().load_rd4ad_checkpoint(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content",
    [
        {"bn": {"conv9.weight": torch.zeros(1)}, "decoder": {}},
        {"bn": {}, "decoder": {"layer9.0.weight": torch.zeros(1)}},
        {"bn": {"conv1.weight": 3}, "decoder": {}},
        {"bn": [], "decoder": []},
    ],
    ids=["module of bn", "module of decoder", "no tensor", "no state dict"],
)
def test_checkpoint_of_an_unknown_network_is_refused(content: dict, tmp_path: Path):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt"):
        untrained().load_rd4ad_checkpoint(tmp_path / "other.pt")


@pytest.mark.parametrize(
    ("backbone", "layers"),
    [("resnet34", LAYERS), ("resnet50", LAYERS), ("resnet18", ("layer2", "layer3"))],
)
def test_checkpoint_of_another_network_is_refused_and_changes_nothing(
    backbone: str, layers: tuple[str, ...], checkpoint: Path
):
    model = untrained(backbone, layers=layers)
    before = snapshot(model)
    with pytest.raises(ValueError, match="backbone it was trained with and layers layer1, layer2"):
        model.load_rd4ad_checkpoint(checkpoint)
    assert_same(snapshot(model), before)


@pytest.mark.parametrize(
    ("part", "theirs", "ours"),
    [
        ("bn", "bn3.running_var", "bottleneck, as in fuse.1.1.running_var"),
        ("decoder", "layer1.1.conv2.weight", "decoder, as in stages.layer3.1.conv2.weight"),
    ],
)
def test_checkpoint_that_lacks_a_tensor_is_refused_by_name_and_changes_nothing(
    part: str, theirs: str, ours: str, stored: dict[str, Any], tmp_path: Path
):
    lacking = {name: tensor for name, tensor in stored[part].items() if name != theirs}
    torch.save({**stored, part: lacking}, tmp_path / "lacking.pt")
    model = untrained()
    before = snapshot(model)
    with pytest.raises(ValueError, match=rf"lacking\.pt does not fit this network's {ours};"):
        model.load_rd4ad_checkpoint(tmp_path / "lacking.pt")
    assert_same(snapshot(model), before)


def test_modules_that_the_authors_network_does_not_use_are_left_out(
    stored: dict[str, Any], tmp_path: Path
):
    unused = {"conv4.weight": torch.zeros(1024, 512, 1, 1), "bn4.bias": torch.zeros(1024)}
    torch.save({**stored, "bn": stored["bn"] | unused}, tmp_path / "whole.pt")
    model = untrained()
    model.load_rd4ad_checkpoint(tmp_path / "whole.pt")
    found = model.bottleneck.state_dict()["fuse.1.0.weight"]
    assert torch.equal(found, stored["bn"]["conv3.weight"].float())
