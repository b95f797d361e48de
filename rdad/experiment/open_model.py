"""A trained network from wherever it is: a folder, a file, MLflow, the authors' program.

Nothing that is opened runs code: files may hold tensors and plain data, and of MLflow's models
only those are taken that this program wrote.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from rdad.config.schema import SourceConfig
from rdad.runs.files import irregular
from rdad.runs.record import RECORD_FILE
from rdad.runs.slow_imports import slow_imports

if TYPE_CHECKING:
    from rdad.detector.loaded_run import LoadedRun
    from rdad.detector.trained_model import TrainedModel

ALLOWED = (
    "allowed are a run folder, a model.pt file, the id of an MLflow run, "
    "models:/<name>@<alias>, models:/<name>/<version>, "
    "and a checkpoint of the authors' program with its backbone named"
)
AUTHORS_SIZE = (256, 256)  # of their main.py


def open_model(
    source: str | Path,
    *,
    backbone: str | None = None,
    layers: Sequence[str] | None = None,
    image_size: Sequence[int] | None = None,
    weights: str | Path | None = None,
    tracking_uri: str | None = None,
) -> "LoadedRun | TrainedModel":
    """The network that `source` names, on the CPU, in evaluation mode.

    A run folder, an MLflow run and a registered model give a `LoadedRun`, which also knows the
    configuration, the metrics and the record; files alone give a `TrainedModel`.

    Args:
        source: A run folder, a model.pt file, an MLflow run id, models:/<name>@<alias>,
            models:/<name>/<version>, or a checkpoint of the authors' program.
        backbone, layers, image_size: Of a checkpoint of the authors' program, which does not say
            them; layers default to all three, image_size (height, width) to 256².
        weights: The encoder's weights, a name or a file; by default those of the training, and
            for a checkpoint of the authors' program the backbone's own default.
        tracking_uri: MLflow's store; by default MLFLOW_TRACKING_URI, then sqlite:///mlflow.db.

    Raises:
        FileNotFoundError: there is no such thing, or its weights are gone.
        ValueError: it is something else, is damaged, or would run code.
        ConnectionError: MLflow's store does not answer.
    """
    named, path = str(source), Path(source)
    if found := irregular(path):
        raise ValueError(f"{named} is {found}, not a file; {ALLOWED}")
    choices = {"backbone": backbone, "layers": layers, "image_size": image_size}
    if path.is_file() and _is_checkpoint(path):
        return _checkpoint(path, choices, weights)
    if given := [name for name, value in choices.items() if value is not None]:
        raise ValueError(
            f"{' and '.join(given)} can be named for a checkpoint of the authors' program alone, "
            f"and {named} is none"
        )
    if path.is_file():
        from rdad.detector.model_file import load_trained_model

        return load_trained_model(path, weights=weights)
    if path.is_dir():
        from rdad.detector.loaded_run import load_run

        if not (path / RECORD_FILE).is_file():
            raise FileNotFoundError(f"{path} is a folder without {RECORD_FILE}; {ALLOWED}")
        return load_run(path, weights=weights)
    from rdad.tracking.models import is_stored, open_stored_model

    if is_stored(named):
        return open_stored_model(named, tracking_uri=tracking_uri, weights=weights)
    raise FileNotFoundError(f"found no {named}; {ALLOWED}")


def opened(source: str, cfg: DictConfig) -> "tuple[TrainedModel, LoadedRun | None]":
    """`open_model` with a command's options: the network, and its run where one was named."""
    from rdad.detector.loaded_run import LoadedRun

    names = [field.name for field in fields(SourceConfig)]
    options: Any = OmegaConf.to_container(OmegaConf.masked_copy(cfg, names))
    found = open_model(source, **options)
    return (found.trained, found) if isinstance(found, LoadedRun) else (found, None)


def _is_checkpoint(path: Path) -> bool:
    """Whether it is one of the authors' program and no model.pt, by its keys."""
    with slow_imports():
        from rdad.detector.model_file import FORMAT
        from rdad.model.weights import read_plain

    content = read_plain(path, device="meta")  # the tensors are not read yet
    keys = content if isinstance(content, Mapping) else {}
    if keys.get("format") == FORMAT or {"bn", "decoder"} <= set(keys):
        return keys.get("format") != FORMAT
    raise ValueError(
        f"{path} is neither a model.pt of a run ({FORMAT}) nor a checkpoint of the authors' "
        f"program (keys bn and decoder); {ALLOWED}"
    )


def _checkpoint(
    path: Path, choices: Mapping[str, Any], weights: str | Path | None
) -> "TrainedModel":
    from rdad.detector.trained_model import TrainedModel
    from rdad.model.geometry import LAYERS
    from rdad.model.torch_model import ReverseDistillationModel
    from rdad.model.weights import NothingDrawn

    backbone, layers, image_size = choices.values()
    if backbone is None:
        raise ValueError(
            f"{path} is a checkpoint of the authors' program, which does not say its backbone; "
            "name it, as in backbone=wide_resnet50_2"
        )
    with NothingDrawn():
        model = ReverseDistillationModel(
            backbone, image_size or AUTHORS_SIZE, layers or LAYERS, "add", weights=weights
        )
    model.load_rd4ad_checkpoint(path)
    return TrainedModel(model.eval(), None, path.stem)
