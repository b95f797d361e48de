"""Which thresholds an evaluation judges by, and how a run comes to judge by them too."""

import logging
import shlex
from pathlib import Path

from omegaconf import DictConfig

from rdad.config.mistakes import ConfigError
from rdad.detector.calibration import chosen_thresholds
from rdad.detector.loaded_run import LoadedRun
from rdad.detector.model_file import replace_thresholds
from rdad.experiment.stages import Scoring
from rdad.metrics.thresholds import Thresholds
from rdad.runs.files import MODEL_FILE
from rdad.runs.folder import alone_in
from rdad.runs.record import RunRecord

log = logging.getLogger(__name__)


def thresholds_for(
    stored: Thresholds | None,
    scoring: Scoring,
    options: DictConfig,
    *,
    carries: bool,
    held_back: bool,
) -> Thresholds | None:
    """The run's, the run's read at another rate, new ones, or none, which a warning explains.

    Args:
        stored: The model's.
        carries: Whether the maps are computed as when `stored` was found, and it is asked for.
        held_back: Whether there are normal images that were not trained on.

    Raises:
        ConfigError: what is wanted needs such images, and there are none.
        ValueError: a rate or a threshold is out of range.
    """
    configured, wanted = scoring.cfg.thresholds, options.thresholds
    own = {name: configured[name] for name in ("image_rate", "pixel_rate")}
    if stored is not None:  # its rates are None where a threshold was given instead
        own = {name: getattr(stored, name) or own[name] for name in own}
    rates = {name: wanted[name] or own[name] for name in own}
    found = None
    if carries and stored is not None and rates["pixel_rate"] == own["pixel_rate"]:
        found = chosen_thresholds(stored, image_rate=wanted.image_rate)
    elif held_back:
        found = scoring.calibrate({**configured, **rates})
    elif refused := [name for name in own if wanted[name] is not None]:
        raise ConfigError(
            f"thresholds.{refused[0]} needs normal images that were not trained on: the run's own "
            "calibration images are not here, and dataset.calibration says of no others"
        )
    elif stored is not None:
        log.warning(
            "the run's thresholds do not carry over to another mode, blur, score, tile or mask: "
            "verdicts need its calibration images, or threshold=…"
        )
    return chosen_thresholds(found, value=options.threshold)


def kept_in(run: LoadedRun | None, *, carries: bool) -> Path:
    """The folder of the run whose thresholds will be replaced.

    Raises:
        ConfigError: there is none, or its maps are not those that the thresholds are for.
    """
    if run is None or run.run_dir is None:
        raise ConfigError(
            "keep=true stores thresholds in a run folder, and none was named; "
            "python -m rdad.register takes threshold= for a model in MLflow"
        )
    if not carries:
        raise ConfigError(
            "keep=true stores thresholds in the run, whose mode, blur, score, tile and mask stay "
            "its own; leave these out, or train with them"
        )
    return run.run_dir


def keep(run_dir: Path, thresholds: Thresholds, date: str) -> None:
    """All that opens the run judges by them; its own test's files stay as that test left them."""
    with alone_in(run_dir):
        replace_thresholds(run_dir / MODEL_FILE, thresholds)
        RunRecord.open(run_dir).update(thresholds=thresholds.to_dict(), thresholds_kept=date)
    log.info(
        "%s keeps these thresholds; metrics.json and report.html are still of its own test, and "
        "its model in MLflow gets them by  python -m rdad.register %s name=…",
        *(run_dir, shlex.quote(str(run_dir))),
    )
