"""The wiring of an evaluation: a trained network, images, thresholds, and a folder of results."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rdad.config.build import build_known
from rdad.config.compose import ConfigError
from rdad.config.parameters import parameters
from rdad.data import AnomalyDataModule
from rdad.detector.device import chosen_device, computing_in
from rdad.detector.loaded_run import LoadedRun
from rdad.detector.trained_model import TrainedModel
from rdad.experiment.carried_thresholds import Wanted, carried_thresholds
from rdad.experiment.rescore_config import configuration
from rdad.experiment.sources import opened
from rdad.metrics.thresholds import Thresholds
from rdad.model.anomaly_map import AnomalyMapGenerator
from rdad.model.precision import OF_LIGHTNING, Precision
from rdad.results.evaluation import Evaluation, calibrate_into, evaluate_into, metrics_for
from rdad.results.report.contents import ReportSubject
from rdad.results.writer import ArtifactWriter
from rdad.runs.files import write_text_atomic

RECORD_FILE = "evaluation.json"
FOLDER = "evaluations"
OF_TRAINING = {"loss", "weights", "max_epochs", "lr", "validation", "seed"}  # among parameters


@dataclass(frozen=True)
class Rescored:
    """What an evaluation came to, as `rdad.experiment.run.RunResult` says it of a run."""

    metrics: dict[str, float]
    thresholds: Thresholds | None
    folder: Path


@dataclass(frozen=True)
class Case:
    """A network and its images, before anything is scored.

    Attributes:
        source: As the user named it.
        trained: On its device, with the map that is wanted.
        run_dir: None where there is none to write to.
        same_maps: Whether the map is computed as when the thresholds were found.
        own_images: Whether the images are the run's, so that its calibration images were not
            trained on.
    """

    source: str
    trained: TrainedModel
    run_dir: Path | None
    cfg: DictConfig
    datamodule: AnomalyDataModule
    precision: Precision
    same_maps: bool
    own_images: bool


def rescore(source: str, options: DictConfig, of_the_run: Sequence[str]) -> Rescored:
    """Score a network over images and leave the files of a test.

    Args:
        source: What `rdad.experiment.sources.open_model` opens.
        options: As conf/evaluate.yaml.
        of_the_run: As in `rdad.experiment.rescore_config.configuration`.

    Raises:
        ValueError, OSError: nothing can be scored; the message says what to change.
    """
    _refuse_used_folder(options.output)
    case = _case(source, options, of_the_run)
    folder = _new_folder(options.output, case.run_dir)
    calibration_named = any(one.startswith("dataset.calibration=") for one in of_the_run)
    thresholds = _thresholds(case, folder, options, calibration_named=calibration_named)
    found = _evaluated(case, folder, thresholds)
    _write_record(case, folder, thresholds, found)
    return Rescored(found.metrics, thresholds, folder)


def _case(source: str, options: DictConfig, of_the_run: Sequence[str]) -> Case:
    device = chosen_device(options.device)
    found = _opened(source, options)
    trained, run = (found.trained, found) if isinstance(found, LoadedRun) else (found, None)
    changed_map = {"anomaly_map_mode": options.mode, "sigma": options.sigma}
    cfg = configuration(trained, run.cfg if run else None, of_the_run, changed_map)
    stored = trained.model.anomaly_map
    chosen = AnomalyMapGenerator(
        trained.model.input_size, cfg.model.sigma, cfg.model.anomaly_map_mode
    )
    same_map = (chosen.sigma, chosen.mode) == (stored.sigma, stored.mode)
    trained.model.anomaly_map = chosen
    datamodule = build_known(cfg.dataset)
    datamodule.prepare()
    return Case(
        source=source,
        trained=trained.to(device),
        run_dir=run.run_dir if run else None,
        cfg=cfg,
        datamodule=datamodule,
        precision=computing_in(OF_LIGHTNING[cfg.trainer.precision], device),
        same_maps=same_map and datamodule.tiling == trained.tiling,
        own_images=bool(run) and run.record.get("data_digest") == datamodule.content_digest,
    )


def _opened(source: str, options: DictConfig) -> LoadedRun | TrainedModel:
    trained, run = opened(source, options)
    return run or trained


def _refuse_used_folder(output: str | None) -> None:
    """Results are written over by no other evaluation, and by none the run's own."""
    folder = Path(output or ".").expanduser()
    if output is not None and folder.exists() and (folder.is_file() or any(folder.iterdir())):
        raise ConfigError(f"output {folder} is there already; name a folder that is new or empty")


def _new_folder(output: str | None, run_dir: Path | None) -> Path:
    if output is not None:
        folder = Path(output).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    moment = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
    beside = (run_dir or Path()) / FOLDER
    number, folder = 1, beside / moment
    while folder.exists():  # another evaluation began in the same second
        number += 1
        folder = beside / f"{moment}_{number}"
    folder.mkdir(parents=True)
    return folder


def _thresholds(
    case: Case, folder: Path, options: DictConfig, *, calibration_named: bool
) -> Thresholds | None:
    on_other_images = calibration_named and not case.own_images
    known = bool(case.datamodule.calibration_samples) and (case.own_images or on_other_images)

    def calibrate(image_rate: float, pixel_rate: float) -> Thresholds | None:
        return calibrate_into(
            folder,
            case.trained.model,
            case.datamodule,
            image_rate=image_rate,
            pixel_rate=pixel_rate,
            precision=case.precision,
        )

    rates = case.cfg.thresholds
    return carried_thresholds(
        case.trained.thresholds,
        Wanted(options.threshold, options.thresholds.image_rate, options.thresholds.pixel_rate),
        (rates.image_rate, rates.pixel_rate),
        same_maps=case.same_maps,
        calibrate=calibrate if known else None,
        on_other_images=on_other_images,
    )


def _evaluated(case: Case, folder: Path, thresholds: Thresholds | None) -> Evaluation:
    data, artifacts = case.datamodule, case.cfg.artifacts
    subject = ReportSubject(data.category, _settings(case), _now(), len(data.test_samples))
    writer = ArtifactWriter(
        folder,
        category=data.category,
        maps=artifacts.maps,
        overlays=artifacts.overlays,
        fpr_limit=case.cfg.evaluation.fpr_limit,
        report=subject if artifacts.report else None,
        thresholds=thresholds,
    )
    metrics = metrics_for(data, thresholds, **case.cfg.evaluation)
    return evaluate_into(
        folder, case.trained.model, data, metrics, writer, precision=case.precision
    )


def _settings(case: Case) -> dict[str, str | int | float]:
    known = parameters(case.cfg, str(case.datamodule.name), case.datamodule.category)
    return {name: value for name, value in known.items() if name not in OF_TRAINING}


def _write_record(
    case: Case, folder: Path, thresholds: Thresholds | None, found: Evaluation
) -> None:
    content: dict[str, Any] = {
        "source": case.source,
        "model": case.trained.name,
        "date": _now(),
        "settings": _settings(case),
        "dataset": OmegaConf.to_container(case.cfg.dataset, resolve=True),
        "images": {"test": len(case.datamodule.test_samples)},
        "thresholds": None if thresholds is None else thresholds.to_dict(),
        "undefined": found.undefined,
    }
    text = json.dumps(content, indent=2, ensure_ascii=False)
    write_text_atomic(folder / RECORD_FILE, text + "\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
