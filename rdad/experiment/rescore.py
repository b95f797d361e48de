"""An evaluation: a trained network, images, thresholds, and a folder of results."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rdad.config.build import build_known, prepared
from rdad.config.mistakes import ConfigError
from rdad.config.parameters import OF_TRAINING, parameters
from rdad.data import AnomalyDataModule
from rdad.detector.device import chosen_device, computing_in
from rdad.detector.loaded_run import LoadedRun
from rdad.detector.trained_model import TrainedModel
from rdad.experiment.open_model import opened
from rdad.experiment.rescore_config import configuration
from rdad.experiment.rescore_thresholds import keep, kept_in, thresholds_for
from rdad.experiment.run import RunResult
from rdad.experiment.stages import Scoring
from rdad.metrics.thresholds import Thresholds
from rdad.model.anomaly_map import AnomalyMapGenerator
from rdad.model.precision import OF_LIGHTNING
from rdad.results.evaluation import asked_overlaps
from rdad.results.report.contents import ReportSubject
from rdad.runs.files import now, write_json
from rdad.runs.folder import LOCK_FILE, new_folder, stay_in
from rdad.runs.names import expanded

RECORD_FILE = "evaluation.json"
FOLDER = "evaluations"


def rescore(source: str, options: DictConfig, of_the_run: Sequence[str]) -> RunResult:
    """Score a network over images and leave the files of a test, in a folder of its own.

    Args:
        source: What `rdad.open_model` opens.
        options: As conf/evaluate.yaml.
        of_the_run: As in `rdad.experiment.rescore_config.configuration`.

    Raises:
        ValueError, OSError: nothing can be scored; the message says what to change.
    """
    _refuse_used_folder(options.output)
    device = chosen_device(options.device)
    trained, run = opened(source, options)
    cfg = _configured(trained, run, options, of_the_run)
    images = _images(cfg, trained, of_the_run)
    same_map = _take_map(trained, cfg)
    same_tiles, same_frame = images.tiling == trained.tiling, images.framing == trained.framing
    carries = same_map and same_tiles and same_frame
    keeping = kept_in(run, carries=carries) if options.keep else None
    asked_overlaps(images, cfg.evaluation, check=True)
    subject = ReportSubject(
        title=images.category,
        settings=_settings(cfg, images),
        date=now(),
        source=source if same_map and same_tiles else None,  # rdad.predict takes another mask
    )
    folder = _new_folder(options.output, run.run_dir if run else None)
    precision = computing_in(OF_LIGHTNING[cfg.trainer.precision], device)
    scoring = Scoring(cfg, folder, trained.to(device).model, images, precision, subject)
    with _gone_if_empty(folder):
        own = bool(run) and run.record.get("data_digest") == images.content_digest
        others = not own and any(one.startswith("dataset.calibration=") for one in of_the_run)
        thresholds = thresholds_for(
            trained.thresholds,
            scoring,
            options,
            carries=carries and not others,
            # the run's calibration images are not trained on; of others the command line says so
            held_back=bool(images.calibration_samples) and (own or others),
        )
        if keeping and thresholds is None:
            said = f"{source} has no thresholds that could be kept; give threshold=<score>"
            raise ConfigError(said)
    metrics, undefined = scoring.test(thresholds)
    _write_record(scoring, source, trained.name, thresholds, undefined)
    if keeping and thresholds is not None:
        keep(keeping, thresholds, subject.date)
    return RunResult(metrics, folder, thresholds=thresholds)


def _configured(
    trained: TrainedModel, run: LoadedRun | None, options: DictConfig, of_the_run: Sequence[str]
) -> DictConfig:
    changed_map = {"anomaly_map_mode": options.mode}
    changed_map |= {name: options[name] for name in ("sigma", "score_share")}
    try:
        return configuration(trained, run.cfg if run else None, of_the_run, changed_map)
    except OmegaConfBaseException as error:
        said = str(error).splitlines()[0]
        raise ConfigError(f"the run's configuration is not of this version: {said}") from error


def _images(cfg: DictConfig, trained: TrainedModel, of_the_run: Sequence[str]) -> AnomalyDataModule:
    """Prepared, and looked at where the network was trained, if nothing else is said."""
    images = build_known(cfg.dataset, fetch=True)
    if not any(one.startswith("dataset.ignore=") for one in of_the_run):
        images.framing = trained.framing
    return prepared(images)


def _take_map(trained: TrainedModel, cfg: DictConfig) -> bool:
    """Give the network the map that is asked for; says whether that is the one it had."""
    had, model = trained.model.anomaly_map, cfg.model
    of_map = model.sigma, model.anomaly_map_mode, model.score_share
    trained.model.anomaly_map = AnomalyMapGenerator(had.image_size, *of_map)
    return of_map == (had.sigma, had.mode, had.score_share)


def _settings(cfg: DictConfig, images: AnomalyDataModule) -> dict[str, str | int | float]:
    known = parameters(cfg, str(images.name), images.category)
    return {name: value for name, value in known.items() if name not in OF_TRAINING}


def _write_record(
    scoring: Scoring,
    source: str,
    model: str,
    thresholds: Thresholds | None,
    undefined: dict[str, str],
) -> None:
    content = {
        "source": source,
        "model": model,
        "date": scoring.subject.date,
        "settings": scoring.subject.settings,
        "dataset": OmegaConf.to_container(scoring.cfg.dataset, resolve=True),
        "images": {"test": len(scoring.images.test_samples)},
        "thresholds": None if thresholds is None else thresholds.to_dict(),
        "undefined": undefined,
    }
    write_json(scoring.folder / RECORD_FILE, content)


def _refuse_used_folder(output: str | None) -> None:
    """An evaluation never writes over another one's results, nor over the run's."""
    folder = expanded(output or ".")
    if output is None or not folder.exists():
        return
    if folder.is_file() or any(path.name != LOCK_FILE for path in folder.iterdir()):
        raise ConfigError(f"output {folder} is there already; name a folder that is new or empty")


@contextmanager
def _gone_if_empty(folder: Path) -> Iterator[None]:
    """Leave no folder of an evaluation that is refused before it has any result."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
            if folder.parent.name == FOLDER:
                folder.parent.rmdir()
        raise


def _new_folder(output: str | None, run_dir: Path | None) -> Path:
    if output is None:
        moment = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
        return new_folder((run_dir or Path()) / FOLDER / moment)
    folder = expanded(output)
    stay_in(folder)
    _refuse_used_folder(output)  # by one that was quicker
    return folder
