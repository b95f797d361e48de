"""A run as an MLflow model: what it is made of, and how one is told from somebody else's.

It is written by hand: `mlflow.pyfunc.save_model` first lists the files of all installed packages
(3 s), and takes along a uv.lock of the current folder.

MLmodel                  names `rdad.served_model` as what loads it; brings no code along
data/                    the run in small: model.pt, with the encoder in it unless it was left
                         out, run.json, metrics.json, .hydra/config.yaml; `rdad.load_run` reads it
input_example.json, …    two pictures
requirements.txt, …      for the environments that MLflow makes
"""

import base64
import io
import json
import os
import platform
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import yaml

from rdad.runs.files import DRAFT, METRICS_FILE, MODEL_FILE, write_json, write_text_atomic
from rdad.runs.record import CONFIG_FILE, RECORD_FILE, read_record, read_yaml
from rdad.tracking.files import leads_out
from rdad.tracking.store import shown_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run
    from mlflow.models import Model, ModelSignature

    from rdad.metrics.thresholds import Thresholds
    from rdad.tracking.store import Store

MODEL_NAME = "model"
THRESHOLDS_TAG = "rdad.thresholds"
"""Of a model that was made again to be registered: by which thresholds it judges."""
ENCODER_TAG = "rdad.encoder"
LEFT_OUT = "left out"

WHOLE = "READY"
DESCRIPTION = "MLmodel"
FLAVOR = "python_function"
LOADER = "rdad.served_model"
DATA = "data"
PLAIN_KEYS = {"loader_module", "data", "env", "python_version"}
"""Of the flavour; any other key would bring in code, or options for it."""

COMPUTING = ("mlflow", "torch", "torchvision", "timm", "numpy", "pillow")
"""What an environment needs for the same numbers, beside rdad itself."""

EXAMPLE, SERVING_EXAMPLE = "input_example.json", "serving_input_example.json"
EXAMPLE_SIDE = 64  # pixels


def log_model(client: "MlflowClient", run: "Run", run_dir: Path, *, encoder: bool) -> None:
    """Give the run its model; one that is there already is not sent again.

    Args:
        encoder: Whether it holds its encoder. Without, its model.pt is that of the run folder, and
            the same file on the disk where the store is beside it.

    Raises:
        FileNotFoundError, ValueError: the model cannot be put together; the store is as it was.
        Whatever MLflow, the network or the file system raise when the store fails.
    """
    if whole_models(client, run):
        return
    of_run = run.info.experiment_id, run.info.run_id
    with TemporaryDirectory(dir=run_dir, prefix=DRAFT) as folder:
        write_package(run_dir, Path(folder), encoder=encoder)
        for unfinished in _models(client, *of_run):  # of an upload that broke off
            client.delete_logged_model(unfinished.model_id)
        tags = {} if encoder else {ENCODER_TAG: LEFT_OUT}
        model = _send(client, Path(folder), *of_run, params=run.data.params, tags=tags)
    if not encoder:
        _share(model.artifact_location, run_dir)


def _share(location: str, run_dir: Path) -> None:
    """Keep one file for both of what nobody changes in place, where links can be made."""
    from mlflow.utils.file_utils import local_file_uri_to_path
    from mlflow.utils.uri import is_local_uri

    if is_local_uri(location):
        sent = Path(local_file_uri_to_path(location), DATA, MODEL_FILE)
        draft = sent.with_name(f"{DRAFT}{sent.name}")
        with suppress(OSError):
            os.link(run_dir / MODEL_FILE, draft)
            draft.replace(sent)


def model_to_register(
    store: "Store",
    client: "MlflowClient",
    model: "LoggedModel",
    thresholds: "Thresholds | None",
    weights: str | None,
) -> "LoggedModel":
    """The run's model once more, with its encoder and these thresholds: the one that is there, or
    a new one.

    Raises:
        FileNotFoundError, ValueError: as `copy_with_encoder`.
    """
    from rdad.detector.model_file import copy_with_encoder, replace_thresholds

    of_run = model.experiment_id, str(model.source_run_id)
    tags = {THRESHOLDS_TAG: _judging(thresholds)}
    for known in _models(client, *of_run):
        if known.status == WHOLE and tags.items() <= known.tags.items():
            return known
    with TemporaryDirectory(prefix="rdad-model-") as folder:
        package = Path(store.download(model.artifact_location, folder))
        file, record = run_inside(package) / MODEL_FILE, package / DATA / RECORD_FILE
        copy_with_encoder(file, file, weights=weights)
        if thresholds is not None:
            replace_thresholds(file, thresholds)
            write_json(record, read_record(record.parent) | {"thresholds": thresholds.to_dict()})
        return _send(client, package, *of_run, params=model.params, tags=tags)


def _judging(thresholds: "Thresholds | None") -> str:
    """The image and the pixel threshold, of all and then of each category that has its own."""
    if thresholds is None:
        return "none"
    each = (thresholds, *thresholds.by_category.values())
    return " ".join(f"{one.image.value!r} {one.pixel.value!r}" for one in each)


def _send(
    client: "MlflowClient", package: Path, experiment: str, run_id: str, **described: Any
) -> "LoggedModel":
    """Make a model of the run of what `write_package` wrote."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    model = client.create_logged_model(experiment, MODEL_NAME, source_run_id=run_id, **described)
    describe_package(package, Model(model.artifact_location, run_id, model_id=model.model_id))
    client.log_model_artifacts(model.model_id, str(package))
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    return client.finalize_logged_model(model.model_id, WHOLE)


def whole_models(client: "MlflowClient", run: "Run") -> "list[LoggedModel]":
    """The models that the run logged to the end, with the thresholds of its calibration."""
    found = _models(client, run.info.experiment_id, run.info.run_id)
    return [one for one in found if one.status == WHOLE and THRESHOLDS_TAG not in one.tags]


def _models(client: "MlflowClient", experiment: str, run_id: str) -> "list[LoggedModel]":
    return list(client.search_logged_models([experiment], f"source_run_id = '{run_id}'"))


def write_package(run_dir: Path, package: Path, *, encoder: bool = True) -> None:
    """Write all but the description of the run's model into the folder `package`.

    Args:
        encoder: Whether the model file holds its encoder.

    Raises:
        FileNotFoundError: the run has no model file, or the encoder's weights are gone.
        ValueError: its model file is damaged or leads out of the folder, or the encoder's weights
            are other ones.
        OSError: it cannot be written.
    """
    from rdad.detector.model_file import copy_model, copy_with_encoder

    for name in (MODEL_FILE, RECORD_FILE, METRICS_FILE, CONFIG_FILE):
        if leads_out(run_dir / name, run_dir):
            raise ValueError(f"{run_dir / name} is a link that leads out of {run_dir}")

    (package / DATA).mkdir(parents=True, exist_ok=True)
    copy = copy_with_encoder if encoder else copy_model
    copy(run_dir / MODEL_FILE, package / DATA / MODEL_FILE)
    # the run ends when its model is sent, and its own record says so only after that
    texts: dict[str | Path, str] = {
        RECORD_FILE: json.dumps(read_record(run_dir) | {"status": "finished"}, ensure_ascii=False)
    }
    for name in (METRICS_FILE, CONFIG_FILE):
        if (run_dir / name).is_file():
            texts[name] = (run_dir / name).read_text(encoding="utf-8")
    for name, text in texts.items():
        write_text_atomic(package / DATA / name, shown_uri(text))
    _write_environment(package)
    _write_example(package)


def describe_package(package: Path, model: "Model") -> None:
    """Write MLmodel: what MLflow knows of `model`, as its id and run, and the rest."""
    import mlflow.pyfunc

    mlflow.pyfunc.add_to_model(
        model, LOADER, data=DATA, conda_env="conda.yaml", python_env="python_env.yaml"
    )
    model.signature = signature()
    model.saved_input_example_info = {
        "artifact_path": EXAMPLE,
        "serving_input_path": SERVING_EXAMPLE,
        "type": "dataframe",
        "pandas_orient": "split",
        "params": "true",
    }
    model.model_size_bytes = sum(path.stat().st_size for path in package.rglob("*"))
    model.save(str(package / DESCRIPTION))


def signature() -> "ModelSignature":
    """One column `image`, the bytes of a file; out come score, verdict, and what is asked for."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType, Array

    outputs = [
        ColSpec(DataType.double, "score"),
        ColSpec(DataType.double, "normalised_score", required=False),
        ColSpec(DataType.string, "label", required=False),
        ColSpec(DataType.binary, "anomaly_map", required=False),
        ColSpec(Array(AnyType()), "regions", required=False),
    ]
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.binary, "image")]),
        outputs=Schema([*outputs]),
        params=ParamSchema(
            [
                ParamSpec("maps", DataType.boolean, default=False),
                ParamSpec("regions", DataType.boolean, default=False),
                ParamSpec("regions.smallest", DataType.long, default=1),
                ParamSpec("threshold", DataType.double, default=None),
                ParamSpec("thresholds.image_rate", DataType.double, default=None),
                ParamSpec("thresholds.category", DataType.string, default=None),
            ]
        ),
    )


def run_inside(package: Path) -> Path:
    """The run's folder inside an MLflow model that rdad wrote; nothing of the model is imported.

    Raises:
        ValueError: it is no MLflow model, or one that brings other code.
    """
    try:
        content = read_yaml(package / DESCRIPTION)
        flavors = dict(content["flavors"])
        flavor = dict(flavors.get(FLAVOR) or {})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"no MLflow model: its {DESCRIPTION} cannot be read ({error})") from error
    found = flavor.get("loader_module")
    foreign = sorted(flavors.keys() - {FLAVOR}) + sorted(
        str(key) for key, value in flavor.items() if key not in PLAIN_KEYS and value is not None
    )
    if found != LOADER or flavor.get("data") != DATA or foreign:
        more = f" and {', '.join(foreign)}" if foreign else ""
        raise ValueError(
            f"an MLflow model that another program wrote: its loader_module is {found!r}{more}. "
            f"Opening it could run code, so it was not opened; allowed are models that rdad logged "
            f"(loader_module {LOADER})"
        )
    return package / DATA


def _write_environment(package: Path) -> None:
    """What MLflow's env managers install; `--env-manager local` reads none of it.

    rdad is left out: an index that does not have it might have another package of that name.
    """
    packages = [f"{name}=={version(name).partition('+')[0]}" for name in COMPUTING]
    python = platform.python_version()
    dependencies = [f"python={python}", "pip", {"pip": packages}]
    conda = {"name": "rdad", "channels": ["conda-forge"], "dependencies": dependencies}
    virtual = {"python": python, "dependencies": ["-r requirements.txt"]}
    (package / "requirements.txt").write_text("\n".join(packages) + "\n")
    (package / "conda.yaml").write_text(yaml.safe_dump(conda, sort_keys=False))
    (package / "python_env.yaml").write_text(yaml.safe_dump(virtual, sort_keys=False))


def _write_example(package: Path) -> None:
    """Two pictures, so that nobody reads a batch of one out of it."""
    table = {"columns": ["image"], "data": [[_picture(grey)] for grey in (96, 160)]}
    params = {"maps": False}
    write_json(package / EXAMPLE, {"inputs": table, "params": params})
    write_json(package / SERVING_EXAMPLE, {"dataframe_split": table, "params": params})


def _picture(grey: int) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (EXAMPLE_SIDE, EXAMPLE_SIDE), (grey, grey, grey)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
