"""Callbacks and loggers that come as Hydra groups, in a run."""

import csv
import logging
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rdad import load_config, run
from rdad.config.compose import ConfigError, check
from rdad.runs.files import read_history
from rdad.training.callbacks import ProgressBar, epochs_of

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


@pytest.mark.parametrize("validation", ["none", "test"])
def test_nothing_stops_by_what_is_not_of_validation_images(validation: str) -> None:
    with pytest.raises(ConfigError, match=f"dataset.validation=split; found.*{validation}"):
        check(config("callbacks=early_stopping", f"dataset.validation={validation}"))


def test_what_is_written_during_a_training_stands_above_its_bar(
    capsys: pytest.CaptureFixture[str],
) -> None:
    trainer: Any = SimpleNamespace(estimated_stepping_batches=3, global_step=0, is_global_zero=True)
    module: Any = None
    before, handler, bar = sys.stderr, logging.StreamHandler(sys.stderr), ProgressBar()
    logging.getLogger().addHandler(handler)
    try:
        bar.on_train_start(trainer, module)
        logging.getLogger("one").warning("logged")
        print("printed in", "two", file=sys.stderr)
        bar.on_train_batch_end(trainer)
        print("and last", file=sys.stderr, end="")
    finally:
        bar.on_train_end()
        logging.getLogger().removeHandler(handler)
    assert sys.stderr is handler.stream is before
    shown = capsys.readouterr().err
    for line in ("logged", "printed in two"):  # where the bar was wiped away, and is drawn again
        assert re.search(rf"\r +\r{line}\n\rtrain: ", shown)
    assert re.search(r" \rand last$", shown)


@pytest.mark.parametrize(("batches_a_step", "epochs"), [(1, 2), (2, 4), (3, 5)])
def test_epochs_are_counted_by_the_steps_that_each_has(batches_a_step: int, epochs: int) -> None:
    """Of 5 batches an epoch, the last of which make a step whatever their number."""
    given = {"num_training_batches": 5, "accumulate_grad_batches": batches_a_step}
    trainer: Any = SimpleNamespace(**given, max_steps=10)
    assert epochs_of(trainer) == epochs


def test_nothing_stops_by_figures_of_test_images() -> None:
    watched = "callbacks.early_stopping.monitor=watch/image_auroc"
    with pytest.raises(ConfigError, match="neither trained nor tested on"):
        check(config("callbacks=early_stopping", watched, "dataset.validation=test"))


def test_a_logger_whose_package_is_not_there_is_refused_by_its_name(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    cfg = config("logger=csv", "logger.csv._target_=lightning.pytorch.loggers.WandbLogger")
    with pytest.raises(ConfigError, match=r"logger\.csv: .*name|logger\.csv: .*wandb"):
        run(cfg, tmp_path)
