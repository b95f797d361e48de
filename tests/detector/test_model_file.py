"""model.pt gives the trained network back, and runs nothing."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from intruder import Intruder
from small_networks import LAYERS, SIZE, pixels, vary_batch_norm
from torchvision.models import get_model

from rdad.data.tiling import Tiling
from rdad.detector.model_file import (
    FORMAT,
    copy_with_encoder,
    load_trained_model,
    save_model,
    take_trained_parts,
)
from rdad.metrics.thresholds import Threshold, Thresholds
from rdad.model.torch_model import ReverseDistillationModel
from rdad.runs.files import MODEL_FILE


def arguments(**changed: Any) -> dict[str, Any]:
    return {
        "backbone": "efficientnet_lite0",
        "input_size": list(SIZE),
        "layers": list(LAYERS),
        "anomaly_map_mode": "multiply",
        "pre_trained": True,
        "weights": None,
        "sigma": 2.5,
    } | changed


def saved(folder: Path, **changed: Any) -> tuple[Path, ReverseDistillationModel]:
    """A network with batch norms as after training, and the file it was written to."""
    torch.manual_seed(0)
    model = ReverseDistillationModel(**arguments(**changed)).eval()
    vary_batch_norm(model.decoder)
    vary_batch_norm(model.bottleneck)
    save_model(folder / MODEL_FILE, model, arguments(**changed))
    return folder / MODEL_FILE, model


@pytest.fixture
def resnet18_file(tmp_path: Path) -> str:
    torch.manual_seed(0)
    torch.save(get_model("resnet18", weights=None).state_dict(), tmp_path / "resnet18.pth")
    return str(tmp_path / "resnet18.pth")


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"backbone": "resnet18", "pre_trained": False},
        {"layers": ["layer3", "layer1"], "anomaly_map_mode": "add"},
        {"backbone": "resnet18", "pre_trained": False, "input_size": [64, 96], "sigma": 0},
    ],
    ids=["pretrained", "untrained", "other layers", "not square"],
)
def test_network_comes_back_with_the_same_maps_to_the_last_bit(changed: dict, tmp_path: Path):
    path, model = saved(tmp_path, **changed)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    again = load_trained_model(path).model
    assert torch.equal(torch.get_rng_state(), state)  # no weights are drawn to be thrown away
    assert not again.training
    images = pixels(size=model.input_size)
    assert torch.equal(again(images), model(images))


def test_file_of_a_pretrained_encoder_does_not_hold_the_encoder(tmp_path: Path):
    path, model = saved(tmp_path)
    content = torch.load(path, weights_only=True)
    assert "encoder" not in content
    assert content["format"] == FORMAT
    parts = [*model.bottleneck.state_dict().values(), *model.decoder.state_dict().values()]
    trained = sum(tensor.nbytes for tensor in parts)
    assert path.stat().st_size < 1.02 * trained


def test_file_of_an_untrained_encoder_holds_the_encoder(tmp_path: Path):
    path, model = saved(tmp_path, backbone="resnet18", pre_trained=False)
    held = torch.load(path, weights_only=True)["encoder"]
    assert held.keys() == model.encoder.network.state_dict().keys()


def test_writing_takes_the_old_files_place_and_leaves_nothing_else(tmp_path: Path):
    (tmp_path / MODEL_FILE).write_text("old")
    saved(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [MODEL_FILE]


def test_file_that_is_not_there_asks_for_a_folder_of_a_run(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"no model\.pt in .*is it a folder of a run"):
        load_trained_model(tmp_path / MODEL_FILE)


def test_file_with_code_is_refused_and_the_code_does_not_run(tmp_path: Path):
    content = {"format": FORMAT, "arguments": Intruder(tmp_path / "ran")}
    torch.save(content, tmp_path / MODEL_FILE)
    with pytest.raises(ValueError, match="holds more than tensors and plain data; it was not load"):
        load_trained_model(tmp_path / MODEL_FILE)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_file_that_is_cut_off_is_refused(kept: float, tmp_path: Path):
    path, _ = saved(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ValueError, match=r"model\.pt is damaged"):
        load_trained_model(path)


def test_file_that_is_text_or_another_archive_is_refused(tmp_path: Path):
    (tmp_path / "text.pt").write_text("no tensors")
    with zipfile.ZipFile(tmp_path / "archive.pt", "w") as archive:
        archive.writestr("a.txt", "no tensors")
    for name in ("text.pt", "archive.pt"):
        with pytest.raises(ValueError, match=f"{name} is damaged"):
            load_trained_model(tmp_path / name)


@pytest.mark.parametrize("content", [{}, [1], {"format": "rdad-model-0"}, torch.zeros(2)], ids=repr)
def test_file_of_another_format_is_refused(content: object, tmp_path: Path):
    torch.save(content, tmp_path / MODEL_FILE)
    with pytest.raises(ValueError, match=rf"model\.pt is no {FORMAT} file"):
        load_trained_model(tmp_path / MODEL_FILE)


def test_encoder_weights_that_changed_are_refused(tmp_path: Path, resnet18_file: str):
    path, _ = saved(tmp_path, backbone="resnet18", weights=resnet18_file)
    changed = torch.load(resnet18_file, weights_only=True)
    changed["layer1.0.conv1.weight"][0, 0, 0, 0] += 1e-3
    torch.save(changed, resnet18_file)
    with pytest.raises(ValueError, match=r"other encoder weights than .*resnet18\.pth"):
        load_trained_model(path)


def test_encoder_weights_that_changed_past_the_layers_read_do_not_matter(
    tmp_path: Path, resnet18_file: str
):
    path, model = saved(tmp_path, backbone="resnet18", weights=resnet18_file)
    changed = torch.load(resnet18_file, weights_only=True)
    del changed["fc.weight"]
    torch.save(changed, resnet18_file)
    assert torch.equal(load_trained_model(path).model(pixels()), model(pixels()))


def test_encoder_weights_that_moved_are_taken_from_where_they_are_now(
    tmp_path: Path, resnet18_file: str
):
    path, model = saved(tmp_path, backbone="resnet18", weights=resnet18_file)
    moved = Path(resnet18_file).rename(tmp_path / "moved.pth")
    with pytest.raises(
        (FileNotFoundError, ValueError), match=r"cannot be built again.*resnet18\.pth"
    ):
        load_trained_model(path)
    assert torch.equal(load_trained_model(path, weights=moved).model(pixels()), model(pixels()))


def test_copy_with_its_encoder_loads_without_the_weights(tmp_path: Path, resnet18_file: str):
    path, model = saved(tmp_path, backbone="resnet18", weights=resnet18_file)
    copy_with_encoder(path, tmp_path / "copy" / MODEL_FILE)
    Path(resnet18_file).unlink()
    assert torch.equal(
        load_trained_model(tmp_path / "copy" / MODEL_FILE).model(pixels()), model(pixels())
    )


def test_copy_is_refused_beside_other_encoder_weights(tmp_path: Path, resnet18_file: str):
    path, _ = saved(tmp_path, backbone="resnet18", weights=resnet18_file)
    torch.manual_seed(1)
    torch.save(get_model("resnet18", weights=None).state_dict(), resnet18_file)
    with pytest.raises(ValueError, match=r"other encoder weights than .*resnet18\.pth holds now"):
        copy_with_encoder(path, tmp_path / "copy.pt")
    assert not (tmp_path / "copy.pt").exists()


@pytest.mark.parametrize(
    "odd",
    [
        {"arguments": None},
        {"arguments": {"backbone": "resnet18"}},
        {"bottleneck": {}},
        {"decoder": 3},
        {"encoder": [1]},
    ],
    ids=str,
)
def test_file_with_odd_content_is_refused_in_one_message(odd: dict[str, Any], tmp_path: Path):
    path, _ = saved(tmp_path, backbone="resnet18", pre_trained=False)
    torch.save(torch.load(path, weights_only=True) | odd, path)
    with pytest.raises(ValueError, match=r"model\.pt (is damaged|cannot be built again)"):
        load_trained_model(path)


def test_trained_parts_are_taken_into_a_network_of_another_mode(tmp_path: Path):
    path, model = saved(tmp_path)
    torch.manual_seed(1)
    other = ReverseDistillationModel(**arguments(anomaly_map_mode="add")).eval()
    take_trained_parts(path, other)
    found, expected = other.decode(other.encode(pixels())), model.decode(model.encode(pixels()))
    assert all(torch.equal(x, y) for x, y in zip(found, expected, strict=True))


def test_trained_parts_are_not_taken_beside_another_encoder(tmp_path: Path):
    path, _ = saved(tmp_path, backbone="resnet18", pre_trained=False)
    torch.manual_seed(1)
    other = ReverseDistillationModel(**arguments(backbone="resnet18", pre_trained=False))
    with pytest.raises(ValueError, match="trained with other encoder weights"):
        take_trained_parts(path, other)


def test_thresholds_travel_with_the_network(tmp_path: Path):
    one = Threshold(0.25, 4.0)
    thresholds = Thresholds(one, one, 0.02, 0.001, 3, False, "few", (0.1, 0.15, 0.2))
    path, model = saved(tmp_path)
    assert load_trained_model(path).thresholds is None
    save_model(path, model, arguments(), thresholds)
    assert load_trained_model(path).thresholds == thresholds


def test_damaged_thresholds_name_the_file(tmp_path: Path):
    path, _ = saved(tmp_path)
    content = torch.load(path, weights_only=True)
    torch.save(content | {"thresholds": {"value": 1}}, path)
    with pytest.raises(ValueError, match=rf"{MODEL_FILE}: thresholds must be"):
        load_trained_model(path)


def test_the_tiling_travels_with_the_network(tmp_path: Path):
    path, model = saved(tmp_path)
    assert load_trained_model(path).tiling is None
    save_model(path, model, arguments(), None, Tiling((64, 96), 0.5))
    assert load_trained_model(path).tiling == Tiling((64, 96), 0.5)
    torch.save(torch.load(path, weights_only=True) | {"tiling": {"size": 3}}, path)
    with pytest.raises(ValueError, match=rf"{MODEL_FILE}: tiling is damaged"):
        load_trained_model(path)


def test_the_bits_of_grey_files_travel_with_the_network(tmp_path: Path):
    path, model = saved(tmp_path)
    assert load_trained_model(path).bits == 16
    save_model(path, model, arguments(), bits=12)
    assert load_trained_model(path).bits == 12
    content = torch.load(path, weights_only=True)
    torch.save({key: content[key] for key in content if key != "bits"}, path)
    assert load_trained_model(path).bits == 16  # a file from before it was written
    torch.save(content | {"bits": 99}, path)
    with pytest.raises(ValueError, match=rf"{MODEL_FILE}: bits must be a number from 8 to 16"):
        load_trained_model(path)


def test_the_precision_travels_with_the_network(tmp_path: Path):
    path, model = saved(tmp_path)
    assert load_trained_model(path).precision == "float32"
    save_model(path, model, arguments(), precision="bf16")
    assert load_trained_model(path).precision == "bf16"
    content = torch.load(path, weights_only=True)
    torch.save({key: content[key] for key in content if key != "precision"}, path)
    assert load_trained_model(path).precision == "float32"  # a file from before it was written
    torch.save(content | {"precision": "fp8"}, path)
    with pytest.raises(ValueError, match=rf"{MODEL_FILE}: precision is 'fp8'; allowed: float32"):
        load_trained_model(path)
