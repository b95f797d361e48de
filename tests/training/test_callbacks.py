"""Callbacks and loggers that come as Hydra groups, in a run."""

import csv
from pathlib import Path
from typing import Any

import pytest

from rdad import load_config, run
from rdad.config.checks import check
from rdad.config.mistakes import ConfigError
from rdad.runs.files import read_history

SMALL = (
    *("backbone=resnet18", "model.pre_trained=false", "layers=layer1", "tracking=off"),
    *("trainer=cpu", "trainer.max_epochs=6", "trainer.check_val_every_n_epoch=1"),
    *("dataset.image_size=[32,32]", "artifacts.report=false", "artifacts.overlays=0"),
)


def config(*overrides: str) -> Any:
    return load_config(*SMALL, *overrides)


def test_a_training_stops_early_and_leaves_its_learning_rates_with_a_logger(tmp_path: Path) -> None:
    both = "callbacks=[learning_rate,early_stopping]"
    stop_at_once = "callbacks.early_stopping.patience=1", "callbacks.early_stopping.min_delta=100"
    cfg = config(
        both,
        *stop_at_once,
        "dataset.validation=split",
        "logger=csv",
        "schedule=cosine",
        "model.warmup_steps=0",
    )
    run(cfg, tmp_path)
    history = read_history(tmp_path)
    assert len(history) == 2
    assert 0 < history[1]["train/lr"] < history[0]["train/lr"] < cfg.model.lr
    with (tmp_path / "csv/version_0/metrics.csv").open(encoding="utf-8") as file:
        logged = [row["train/lr"] for row in csv.DictReader(file) if row["train/lr"]]
    assert float(logged[-1]) == pytest.approx(history[1]["train/lr"])


@pytest.mark.parametrize("validation", ["split", "test"])
def test_an_epoch_without_validation_has_no_figure_of_one(validation: str, tmp_path: Path) -> None:
    every_second = ("trainer.check_val_every_n_epoch=2", "trainer.max_epochs=3")
    run(config(*every_second, f"dataset.validation={validation}", "model.sigma=1"), tmp_path)
    of_validations = [{name.split("/")[0] for name in row} for row in read_history(tmp_path)]
    seen = {"split": {"val"}, "test": {"val", "watch"}}[validation]
    always = {"epoch", "train"}
    assert of_validations == [always, always | seen, always]


@pytest.mark.parametrize("validation", ["none", "test"])
def test_nothing_stops_by_what_is_not_of_validation_images(validation: str) -> None:
    with pytest.raises(ConfigError, match=f"dataset.validation=split; found.*{validation}"):
        check(config("callbacks=early_stopping", f"dataset.validation={validation}"))


def test_nothing_stops_by_figures_of_test_images() -> None:
    watched = "callbacks.early_stopping.monitor=watch/image_auroc"
    with pytest.raises(ConfigError, match="neither trained nor tested on"):
        check(config("callbacks=early_stopping", watched, "dataset.validation=test"))


def test_a_logger_whose_package_is_not_there_is_refused_by_its_name(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    cfg = config("logger=csv", "logger.csv._target_=lightning.pytorch.loggers.WandbLogger")
    with pytest.raises(ConfigError, match=r"logger\.csv: .*name|logger\.csv: .*wandb"):
        run(cfg, tmp_path)
