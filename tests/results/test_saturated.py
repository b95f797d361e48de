"""AU-sPRO of a test at the images' own sizes, from a folder in MVTec's layout."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rdad.config.compose import load_config
from rdad.config.mistakes import ConfigError
from rdad.data import AnomalyDataModule, DataError, mvtec_ad
from rdad.data.layouts import read_mvtec_ad
from rdad.detector.scoring import stretched_map
from rdad.metrics import AnomalyMetrics, au_spro
from rdad.model.anomaly_map import AnomalyMapGenerator
from rdad.results.evaluation import asked_overlaps, evaluate

SIZE = (24, 30)  # twice what the network sees, and wider
GROUPS = {"logical": ["missing", "swapped"], "structural": ["crack"]}


class Brightness(torch.nn.Module):
    """In place of a network."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.Module()
        self.encoder.register_buffer("pixel_mean", torch.zeros(1))
        self.anomaly_map = AnomalyMapGenerator((12, 16))

    def folded(self) -> "Brightness":
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.float().mean(1, keepdim=True)


def image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def category(tmp_path: Path) -> Path:
    """Two good images and two of each of three defect types, whose masks say 200 or 7."""
    folder, draw = tmp_path / "loco" / "box", np.random.default_rng(0)
    for kind in ("train/good", "test/good", "test/crack", "test/missing", "test/swapped"):
        for name in ("000", "001"):
            pixels = draw.integers(60, 160, (*SIZE, 3), dtype=np.uint8)
            if not kind.endswith("good"):
                mask, row = np.zeros(SIZE, np.uint8), int(draw.integers(2, 12))
                mask[row : row + 8, 5:20] = 7 if kind == "test/crack" else 200
                pixels[row : row + 5, 8:18] += 70
                image(folder / "ground_truth" / kind[5:] / f"{name}.png", mask)
            image(folder / kind / f"{name}.png", pixels)
    entry = partial(dict, defect_name="")
    config = [
        entry(pixel_value=7, saturation_threshold=0.25, relative_saturation=True),
        entry(pixel_value=200, saturation_threshold=40, relative_saturation=False),
    ]
    (folder / "defects_config.json").write_text(json.dumps(config))
    return folder


def data(category: Path) -> AnomalyDataModule:
    read = partial(read_mvtec_ad, category.parent, category.name)
    cache = category.parent.parent / "cache"
    found = AnomalyDataModule(
        read, name="x", category="box", image_size=[12, 16], batch_size=3, cache_dir=cache
    )
    found.prepare()
    return found


def evaluation(**changed: object) -> dict[str, object]:
    return {"groups": GROUPS, "spro_limit": 0.05} | changed


def scored(images: AnomalyDataModule, **changed: object) -> dict[str, float]:
    overlaps = asked_overlaps(images, evaluation(**changed), check=True)
    metrics = AnomalyMetrics(defect_types=images.defect_types)
    return evaluate(Brightness(), images, metrics, overlaps=overlaps)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [0.05, 0.3])
def test_each_group_is_scored_with_all_good_images_at_full_size(
    category: Path, limit: float
) -> None:
    images = data(category)
    found = scored(images, spro_limit=limit)
    maps, regions = {}, {}
    for batch in images.test_dataloader():
        for index, values in zip(batch["indices"].tolist(), batch["images"], strict=True):
            sample = images.test_samples[index]
            maps[sample] = stretched_map(values.float().mean(0).numpy(), SIZE)
            regions[sample] = []
            if sample.mask is not None:
                mask = np.asarray(Image.open(sample.mask))
                enough = {7: int(0.25 * (mask > 0).sum()), 200: 40}[int(mask.max())]
                regions[sample].append((mask > 0, enough))
    types = {f"au_spro/{name}": (*own, "good") for name, own in GROUPS.items()}
    for name, own in {"au_spro": (*images.defect_types, "good"), **types}.items():
        chosen = [one for one in maps if one.defect_type in own]
        given = [maps[one] for one in chosen], [regions[one] for one in chosen]
        assert found[name] == pytest.approx(au_spro(*given, fpr_limit=limit), abs=1e-12)
    mean = (found["au_spro/logical"] + found["au_spro/structural"]) / 2
    assert found["au_spro_group_mean"] == pytest.approx(mean)
    assert 0 < found["au_spro"] < 1


def test_without_groups_there_is_one_figure(category: Path) -> None:
    assert [one for one in scored(data(category), groups=None) if "spro" in one] == ["au_spro"]


def test_of_several_categories_each_is_scored_by_its_own_sizes_of_enough(category: Path) -> None:
    shutil.copytree(category, category.parent / "bag")
    entry = {"defect_name": "", "saturation_threshold": 1, "relative_saturation": True}
    config = [entry | {"pixel_value": value} for value in (7, 200)]
    (category.parent / "bag" / "defects_config.json").write_text(json.dumps(config))
    given = {"image_size": [12, 16], "cache_dir": category.parent.parent / "cache"}
    joint, bag = (
        mvtec_ad(category.parent, names, joint=joint, **given)
        for names, joint in ((["box", "bag"], True), ("bag", False))
    )
    bag.prepare()
    joint.prepare()
    maps = np.random.default_rng(1).random((8, 12, 16)).astype(np.float32)
    together, box, alone = (areas(images, maps) for images in (joint, data(category), bag))
    for name in ("au_spro", "au_spro_group_mean"):
        assert together[f"{name}/box"] == box[name] != alone[name] == together[f"{name}/bag"]
        assert together[name] == pytest.approx((box[name] + alone[name]) / 2)
    assert together["au_spro/bag/logical"] == alone["au_spro/logical"]


def areas(images: AnomalyDataModule, maps: np.ndarray) -> dict[str, float]:
    """Of a category's test images, which have these maps, or of several whose images have."""
    overlaps = asked_overlaps(images, evaluation(), check=True)
    assert overlaps is not None
    for number, sample in enumerate(images.test_samples):
        overlaps.add(sample, images.test_sizes[number], maps[number % len(maps)])
    return overlaps.compute()


def test_a_data_set_that_says_nothing_of_it_has_no_such_figure(category: Path) -> None:
    (category / "defects_config.json").unlink()
    assert asked_overlaps(data(category), evaluation(), check=True) is None


def test_masks_that_do_not_fit_are_all_named_before_a_training(category: Path) -> None:
    for name in ("000", "001"):
        path = category / "ground_truth" / "missing" / f"{name}.png"
        image(path, np.minimum(np.asarray(Image.open(path)), 199))
    with pytest.raises(DataError, match=r"2 files.*\n.*000\.png: holds 199.*\n.*001\.png"):
        asked_overlaps(data(category), evaluation(), check=True)


def test_a_group_of_other_types_is_refused_before_a_training(category: Path) -> None:
    with pytest.raises(ConfigError, match=r"evaluation\.groups: the group a has scratch"):
        asked_overlaps(data(category), evaluation(groups={"a": ["scratch"]}))


def test_groups_come_from_the_command_line() -> None:
    asked = "evaluation.groups={logical:[missing,swapped],structural:[crack]}"
    assert load_config(asked).evaluation.groups == GROUPS
    assert load_config("evaluation.groups=types").evaluation.groups == "types"
