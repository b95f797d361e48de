"""An evaluation: a trained network, images, thresholds, and a folder of results."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rdad.config.build import build_known, prepared
from rdad.config.compose import ConfigError
from rdad.config.parameters import OF_TRAINING, parameters
from rdad.detector.device import chosen_device, computing_in
from rdad.experiment.open_model import opened
from rdad.experiment.rescore_config import configuration
from rdad.experiment.rescore_thresholds import keep, kept_in, thresholds_for
from rdad.experiment.run import RunResult
from rdad.experiment.stages import Scoring
from rdad.model.anomaly_map import AnomalyMapGenerator
from rdad.model.precision import OF_LIGHTNING
from rdad.results.evaluation import asked_overlaps
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
    had = trained.model.anomaly_map
    map_changed = {"anomaly_map_mode": options.mode}
    map_changed |= {name: options[name] for name in ("sigma", "score_share")}
    try:
        cfg = configuration(trained, run.cfg if run else None, of_the_run, map_changed)
    except OmegaConfBaseException as error:
        said = str(error).splitlines()[0]
        raise ConfigError(f"the run's configuration is not of this version: {said}") from error
    of_map = cfg.model.sigma, cfg.model.anomaly_map_mode, cfg.model.score_share
    trained.model.anomaly_map = AnomalyMapGenerator(had.image_size, *of_map)
    same_map = of_map == (had.sigma, had.mode, had.score_share)
    images = build_known(cfg.dataset, fetch=True)
    if not any(one.startswith("dataset.ignore=") for one in of_the_run):
        images.framing = trained.framing
    images = prepared(images)
    same_view = (images.tiling, images.framing) == (trained.tiling, trained.framing)
    carries = same_map and same_view
    keeping = kept_in(run, carries=carries) if options.keep else None
    asked_overlaps(images, cfg.evaluation, check=True)
    known = parameters(cfg, str(images.name), images.category)
    scoring = Scoring(
        cfg,
        _new_folder(options.output, run.run_dir if run else None),
        trained.to(device).model,
        images,
        computing_in(OF_LIGHTNING[cfg.trainer.precision], device),
        {name: value for name, value in known.items() if name not in OF_TRAINING},
        now(),
        source if same_map and images.tiling == trained.tiling else None,
    )
    # the run's calibration images are not trained on; of others the command line has to say so
    own_images = bool(run) and run.record.get("data_digest") == images.content_digest
    on_others = not own_images and any(one.startswith("dataset.calibration=") for one in of_the_run)
    with _gone_if_empty(scoring.folder):
        thresholds = thresholds_for(
            trained.thresholds,
            scoring,
            options,
            carries=carries and not on_others,
            held_back=bool(images.calibration_samples) and (own_images or on_others),
        )
        if keeping and thresholds is None:
            said = f"{source} has no thresholds that could be kept; give threshold=<score>"
            raise ConfigError(said)
    metrics, undefined = scoring.test(thresholds)
    content = {
        "source": source,
        "model": trained.name,
        "date": scoring.date,
        "settings": scoring.settings,
        "dataset": OmegaConf.to_container(cfg.dataset, resolve=True),
        "images": {"test": len(images.test_samples)},
        "thresholds": None if thresholds is None else thresholds.to_dict(),
        "undefined": undefined,
    }
    write_json(scoring.folder / RECORD_FILE, content)
    if keeping and thresholds is not None:
        keep(keeping, thresholds, scoring.date)
    return RunResult(metrics, scoring.folder, thresholds=thresholds)


def _refuse_used_folder(output: str | None) -> None:
    """Results are written over by no other evaluation, and by none the run's own."""
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
