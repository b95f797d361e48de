"""A run as an MLflow model: what it is made of, and how one is told from somebody else's.

MLmodel                  names `rdad.served_model` as what loads it; brings no code along
data/                    the run in small: model.pt with the encoder in it, run.json,
                         metrics.json, .hydra/config.yaml; `rdad.load_run` reads it
input_example.json, …    two pictures
requirements.txt, …      for the environments that MLflow makes
"""

import base64
import io
import json
import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from rdad.runs.files import METRICS_FILE
from rdad.runs.record import CONFIG_FILE, RECORD_FILE, read_record

if TYPE_CHECKING:
    from mlflow.models import Model, ModelSignature

DESCRIPTION = "MLmodel"
FLAVOR = "python_function"
LOADER = "rdad.served_model"
DATA = "data"
COPIED = (METRICS_FILE, str(CONFIG_FILE))
PLAIN_KEYS = {"loader_module", "data", "env", "python_version"}
"""Of the flavour; any other key would bring in code, or options for it."""

COMPUTING = ("mlflow", "torch", "torchvision", "timm", "numpy", "pillow")
"""What an environment needs for the same numbers, beside rdad itself."""

EXAMPLE, SERVING_EXAMPLE = "input_example.json", "serving_input_example.json"
EXAMPLE_SIDE = 64  # pixels


def write_package(run_dir: Path, package: Path) -> None:
    """Write all but the description of the run's model into the folder `package`.

    Raises:
        FileNotFoundError: the run has no model file, or the encoder's weights are gone.
        ValueError: its model file is damaged, or the encoder's weights are other ones.
        OSError: it cannot be written.
    """
    from rdad.detector.model_file import MODEL_FILE, copy_with_encoder

    data = package / DATA
    copy_with_encoder(run_dir / MODEL_FILE, data / MODEL_FILE)
    for name in COPIED:
        if (run_dir / name).is_file():
            (data / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(run_dir / name, data / name)
    # the run ends when its model is sent, and its own record says so only after that
    _write_json(data / RECORD_FILE, read_record(run_dir) | {"status": "finished"})
    _write_environment(package)
    _write_example(package)


def describe_package(package: Path, model: "Model") -> None:
    """Write MLmodel by hand: `mlflow.pyfunc.save_model` looks through all installed packages.

    Args:
        model: What MLflow knows of it, as its id and run; the rest is filled in.
    """
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
    """One column `image`, the bytes of a file; out come score, verdict, and maps if asked for."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    outputs = [
        ColSpec(DataType.double, "score"),
        ColSpec(DataType.double, "normalised_score", required=False),
        ColSpec(DataType.string, "label", required=False),
        ColSpec(DataType.binary, "anomaly_map", required=False),
    ]
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.binary, "image")]),
        outputs=Schema(list(outputs)),
        params=ParamSchema([ParamSpec("maps", DataType.boolean, default=False)]),
    )


def run_inside(package: Path) -> Path:
    """The run's folder inside an MLflow model that rdad wrote; nothing of the model is imported.

    Raises:
        ValueError: it is no MLflow model, or one that brings other code.
    """
    try:
        content: Any = yaml.safe_load((package / DESCRIPTION).read_text(encoding="utf-8"))
        flavors = dict(content["flavors"])
        flavor = dict(flavors.get(FLAVOR) or {})
    except (OSError, yaml.YAMLError, ValueError, KeyError, TypeError) as error:
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
    (package / "requirements.txt").write_text("\n".join(packages) + "\n")
    dependencies = [f"python={python}", "pip", {"pip": packages}]
    conda = {"name": "rdad", "channels": ["conda-forge"], "dependencies": dependencies}
    (package / "conda.yaml").write_text(yaml.safe_dump(conda, sort_keys=False))
    virtual = {"python": python, "dependencies": ["-r requirements.txt"]}
    (package / "python_env.yaml").write_text(yaml.safe_dump(virtual, sort_keys=False))


def _write_example(package: Path) -> None:
    """Two pictures, so that nobody reads a batch of one out of it."""
    table = {"columns": ["image"], "data": [[_picture(grey)] for grey in (96, 160)]}
    params = {"maps": False}
    _write_json(package / EXAMPLE, {"inputs": table, "params": params})
    _write_json(package / SERVING_EXAMPLE, {"dataframe_split": table, "params": params})


def _picture(grey: int) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (EXAMPLE_SIDE, EXAMPLE_SIDE), (grey, grey, grey)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
