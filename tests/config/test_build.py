"""What came with somebody's model may name images, and nothing that is to be called."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from PIL import Image

from rdad import load_config
from rdad.config.build import build, build_known
from rdad.config.mistakes import ConfigError


def test_the_data_of_a_run_is_built_as_the_run_built_it() -> None:
    assert build_known(load_config("dataset.category=grass").dataset).category == "grass"


def test_duplicates_among_the_images_of_an_older_run_are_no_error(tmp_path: Path) -> None:
    for name in ("n/0.png", "t/1.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    node: dict[str, Any] = {"_target_": "rdad.data.folder", "root": str(tmp_path), "normal": "n"}
    node |= {"normal_test": "t", "image_size": [8, 8], "cache_dir": str(tmp_path / "cache")}
    cfg: Any = OmegaConf.create(node)
    with pytest.raises(ValueError, match="1 of 1 test images are training images as well"):
        build(cfg).prepare()
    build_known(cfg).prepare()


@pytest.mark.parametrize(
    "place", ["dataset", "root", "normal", "deep", "by reference"], ids=lambda place: place
)
def test_a_configuration_that_would_call_something_is_refused_before_it_does(
    place: str, tmp_path: Path
) -> None:
    call = {"_target_": "os.mkdir", "path": str(tmp_path / "ran")}
    folder: dict[str, Any] = {"_target_": "rdad.data.folder", "root": ".", "normal": "."}
    dataset = {
        "dataset": call,
        "root": folder | {"root": call},
        "normal": folder | {"normal": [call]},
        "deep": folder | {"normal": {"a": [{"b": call}]}},
        "by reference": folder | {"normal": "${call}"},
    }[place]
    cfg: Any = OmegaConf.create({"dataset": dataset, "call": call})
    with pytest.raises(ConfigError, match=r"would call .*os\.mkdir; allowed are rdad\.data\.text"):
        build_known(cfg.dataset)
    assert not (tmp_path / "ran").exists()


def test_a_part_that_cannot_be_imported_is_named() -> None:
    for target in ("rdad.nothing", "json.nothing"):
        with pytest.raises(ConfigError, match=f"{target} cannot be imported: "):
            build(OmegaConf.create({"_target_": target}))
