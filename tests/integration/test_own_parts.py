"""The example's parts are named by `_target_` in YAML outside the package, and a run uses them."""

import csv
import json
import math
import re
import shlex
from pathlib import Path
from typing import Any

import commands
import numpy as np
import pytest
import torch
from PIL import Image

from rdad.model.loss import ReverseDistillationLoss

REPO = Path(__file__).parents[2]
EXAMPLE = REPO / "examples" / "own_parts"
SHORT = ["trainer.max_epochs=1", "dataset.image_size=[64,64]", "trainer=cpu", "tracking=off"]
SHORT += ["dataset.calibration=0", "artifacts.overlays=1", "reuse=false"]
(COMMAND,) = re.findall(r"^\$ (.+)$", (EXAMPLE / "README.md").read_text(), flags=re.MULTILINE)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example and six striped images of candles, in a table as VisA's."""
    folder = tmp_path_factory.mktemp("own_parts")
    (folder / "examples").mkdir()
    (folder / "examples" / "own_parts").symlink_to(EXAMPLE)
    root = folder / "data" / "visa"
    (root / "split_csv").mkdir(parents=True)
    rows = [["object", "split", "label", "image", "mask"]]
    for index in range(6):
        kind = "anomaly" if index == 5 else "normal"
        image, mask = f"candle/{kind}/{index}.png", f"candle/masks/{index}.png"
        for name in (image, mask):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.tile(np.arange(64) * 8 % 256, (64, 1)).astype(np.uint8)
        spot = np.zeros_like(pixels)
        if kind == "anomaly":
            spot[16:32, 16:32] = 255
            Image.fromarray(spot).save(root / mask)
        Image.fromarray(np.maximum(pixels, spot)).save(root / image)
        split = "train" if index < 3 else "test"
        rows.append(["candle", split, kind, image, mask if kind == "anomaly" else ""])
    rows.append(["capsules", "train", "normal", "capsules/0.png", ""])
    with (root / "split_csv" / "1cls.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


def run(folder: Path, run_dir: str, *further: str) -> dict[str, Any]:
    """The README's command, shortened; gives what run.json says."""
    words = [*shlex.split(COMMAND)[1:], *SHORT, f"hydra.run.dir={run_dir}", *further]
    done = commands.run(*words, folder=folder, PYTHONPATH="examples/own_parts")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / run_dir / "run.json").read_text())


def test_a_data_set_of_ones_own_is_trained_on_and_tested(workplace: Path) -> None:
    record = run(workplace, "split_list", "backbone=resnet18", "model.weights=null")
    assert record["images"] == {"train": 3, "calibration": 0, "test": 3}
    assert record["params"]["category"] == "candle"
    metrics = json.loads((workplace / "split_list" / "metrics.json").read_text())
    assert 0 <= metrics["test/image_auroc"] <= 1
    assert 0 <= metrics["test/aupro"] <= 1


def test_what_the_readme_shows_stands_in_the_example() -> None:
    text = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    files = [*EXAMPLE.rglob("*.py"), *EXAMPLE.rglob("*.yaml")]
    code = "".join(path.read_text(encoding="utf-8") for path in files)
    shown = re.findall(r"^```(?:py|yaml)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert len(shown) == 4
    assert [line for one in shown for line in one.splitlines() if line not in code] == []


def test_all_five_parts_make_a_run(workplace: Path) -> None:
    further = ("experiment=own_parts", "trainer.max_epochs=5", "callbacks.stop_when_flat.epochs=1")
    run(workplace, "all", *further, "callbacks.stop_when_flat.fall=0.9")
    with (workplace / "all" / "history.csv").open() as file:
        losses = [float(row["train/loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 2  # the second did not fall by nine tenths
    lines = [json.loads(line) for line in (workplace / "figures.jsonl").read_text().splitlines()]
    logged = [line["train/loss"] for line in lines if "train/loss" in line]
    assert logged == pytest.approx(losses)


@pytest.fixture
def own_parts(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(EXAMPLE)
    import own_parts

    return own_parts


def test_the_backbone_tells_directions_apart_and_not_where_stripes_begin(own_parts: Any) -> None:
    encoder = own_parts.GaborEncoder(directions=4)
    x = torch.arange(64.0)
    upright = torch.sin(math.pi * x / 4).expand(1, 3, 64, 64)  # a wave in 8 pixels, 4 at layer1
    features = encoder(upright)
    assert {name: tuple(one.shape) for name, one in features.items()} == {
        "layer1": (1, 7, 16, 16),
        "layer2": (1, 7, 8, 8),
        "layer3": (1, 7, 4, 4),
    }
    strength = features["layer1"][0, :4, 4:12, 4:12].mean((1, 2))
    turned = encoder(upright.mT)["layer1"][0, :4, 4:12, 4:12].mean((1, 2))
    shifted = encoder(upright.roll(2, dims=3))["layer1"][0, :4, 4:12, 4:12].mean((1, 2))
    assert strength.argmax() == 0
    assert turned.argmax() == 2
    assert torch.allclose(shifted, strength, rtol=0.05, atol=0.05)


def test_the_loss_of_all_places_is_rdads_local_cosine(own_parts: Any) -> None:
    torch.manual_seed(0)
    teacher = [torch.randn(2, 4, 8, 8), torch.randn(2, 6, 4, 4)]
    student = [torch.randn_like(one) for one in teacher]
    expected = ReverseDistillationLoss("local_cosine")(teacher, student)
    assert own_parts.HardestPlaces(share=1)(teacher, student) == pytest.approx(float(expected))
    assert own_parts.HardestPlaces(share=0.1)(teacher, student) > expected


def test_a_table_without_its_images_says_which_are_missing(own_parts: Any, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("object,split,label,image,mask\na,train,normal,a/0.png,\n")
    with pytest.raises(ValueError, match=r"a/0\.png: not there"):
        own_parts.read_table(tmp_path, "table.csv", "a")
