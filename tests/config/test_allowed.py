"""Each key of the configuration with each kind of wrong value: one message, and nothing slow."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator

import pytest
from omegaconf import DictConfig, OmegaConf

from rdad.config.allowed import Range
from rdad.config.checks import check
from rdad.config.compose import change, load_config
from rdad.config.mistakes import ConfigError
from rdad.experiment.run import run

SLOW = ("torch", "torchvision", "lightning", "mlflow", "pandas", "matplotlib", "timm", "scipy")
DATASETS = (
    ("dataset=textures",),
    ("dataset=mvtec_ad", "dataset.root=data", "dataset.category=nut"),
    ("dataset=folder", "dataset.root=data", "dataset.normal=good"),
)
VALUES = {
    "text": "'no such thing'",
    "nan": "nan",
    "negative": "-1",
    "huge": "1" + 20 * "0",
    "empty": "''",
    "null": "null",
    "empty list": "[]",
    "lists": "[[1]]",
    "node": "{a: 1}",
}
AS_TEXT = {"text", "nan", "negative", "huge"}  # what a key of texts takes for one
AS_BOOL = {"negative", "huge"}
FOLDERS = {"text", "negative", "huge"}
RIGHT = {
    "model.backbone": {"text"},
    "model.pre_trained": AS_BOOL,
    "model.weights": {*AS_TEXT, "null"},
    "model.start_from": {*AS_TEXT, "null"},
    "model.clip_norm": {"null"},
    "dataset.download": AS_BOOL,
    "trainer.max_steps": {"null"},
    "evaluation.groups": {"null"},
    "threads": {"null"},
    "dataset.split_seed": {"negative", "huge"},
    "dataset.tile": {"null"},
    "dataset.ignore": {"text", "null"},
    "dataset.root": {"text"},
    "dataset.category": {"null"},  # of a folder; a photograph's is one of three
    "dataset.normal": FOLDERS,
    "dataset.normal_test": {*FOLDERS, "null", "empty list"},
    "dataset.defects": {*FOLDERS, "null", "empty list"},
    "dataset.masks": {*FOLDERS, "null", "empty list"},
    "trainer.devices": {"negative"},  # -1: all there are
    "tracking": {"null"},
    "tracking.uri": AS_TEXT,  # whose form the tracker knows
    "tracking.experiment": {*AS_TEXT, "empty", "null"},
    "tracking.system_metrics": AS_BOOL,
    "tracking.log_model": AS_BOOL,
    "tracking.log_encoder": {*AS_BOOL, "null"},
    "artifacts.maps": AS_BOOL,
    "artifacts.overlays": {"huge", "null"},
    "artifacts.report": AS_BOOL,
    "evaluation.streaming": AS_BOOL,
    "compile": {"null"},
    "reuse": AS_BOOL,
    "resume": AS_BOOL,
}
UNKNOWN = (
    *("+foo=1", "++foo=1", "+model.foo=1", "+dataset.foo=1", "+trainer.foo=1", "+tracking.foo=1"),
    *("+trainer.logger=false", "+artifacts.foo=1", "+evaluation.foo=1", "+thresholds.foo=1"),
    *("callbacks.foo=5", "logger.foo={a: 1}"),
    *("trainer.devices=0", "trainer.devices=[]", "trainer.devices=[0,0]", "trainer.devices='1,x'"),
    *("dataset.image_size=[1000000,1000000]", "dataset.tile=[1000000,64]", "objective=5"),
    *("objective=[test/aupro,5]", "trainer.accelerator=abacus", "trainer.strategy=luck"),
    *("dataset.normal=true", "dataset.batch_size=1e12", "trainer.max_epochs=99999999999999999999"),
)
ELSEWHERE = (  # all that takes no more than a look at a folder, or at a name
    ((*DATASETS[1], "dataset.root=/no/such"), "folder /no/such does not exist"),
    ((*DATASETS[1], "dataset.root=."), "no category in ."),
    ((*DATASETS[2], "dataset.root=.", "dataset.normal=no such"), "folder no such does not"),
    (("model.weights=no/such.pth",), "model.weights: there is no file no/such"),
    (("model.start_from=no/run",), "model.start_from: there is no run or file no/run"),
    (("~dataset._target_",), "dataset must be a node with a _target_"),
    (("dataset._target_=5",), "dataset._target_ must name what can be imported; found 5"),
    (("model._target_=no.such",), "model._target_ must name what can be imp"),
    (("+callbacks.x._target_=nosuch",), "callbacks.x._target_ must name what"),
    *(
        ((f"tracking.uri='{uri}'",), f"tracking.uri is '{uri}', which MLflow")
        for uri in ("ftp://x", "http://", "http://host:99999", "sqlite:///", "sqlite:////", "x")
    ),
)


def leaves(node: DictConfig, place: str = "") -> Iterator[str]:
    for key in node:
        below = OmegaConf.to_container(node)[key]
        yield f"{place}{key}"
        if isinstance(below, dict) and below:
            yield from leaves(node[key], f"{place}{key}.")


def wrong() -> Iterator[tuple[DictConfig, str]]:
    """Configurations without a fault, and an override that makes each wrong."""
    seen: set[str] = set()
    for overrides in DATASETS:
        cfg = load_config(*overrides)
        check(cfg)
        keys = [key for key in leaves(cfg) if key not in seen and "_target_" not in key]
        seen |= {*keys}
        for key in keys:
            kinds = [kind for kind in VALUES if kind not in RIGHT.get(key, ())]
            yield from ((cfg, f"{key}={VALUES[kind]}") for kind in kinds)
    yield from ((cfg, override) for override in UNKNOWN)


def said() -> dict[str, str]:
    """What each is refused with."""
    found = {}
    for cfg, override in wrong():
        other = cfg.copy()
        try:
            change(other, [override], force_add=True)
            check(other)
            found[override] = "accepted"
        except Exception as error:
            found[override] = f"{type(error).__name__}: {error}"
    return found


def said_before_a_run() -> list[str]:
    """What each of ELSEWHERE is refused with."""
    found = []
    for overrides, _ in ELSEWHERE:
        try:
            run(load_config(*overrides), "out")
        except (ConfigError, FileNotFoundError) as error:
            found.append(str(error))
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict:
    code = (
        "import json, sys, test_allowed as t; found = [t.said(), t.said_before_a_run()]\n"
        "print(json.dumps([*found, [name for name in t.SLOW if name in sys.modules]]))"
    )
    here, folder = __file__.rpartition("/")[0], tmp_path_factory.mktemp("empty")
    code = f"import sys; sys.path.insert(0, {here!r})\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    assert not list(folder.iterdir())
    return dict(zip(("values", "elsewhere", "slow"), json.loads(done.stdout), strict=True))


def test_each_wrong_value_gets_one_line_that_names_its_key(told: dict) -> None:
    other_words = {"image_size": "image size", "input_size": "image size", "_target_": "dataset"}
    for override, message in told["values"].items():
        name = override.partition("=")[0].rpartition(".")[2].lstrip("+~")
        assert message.startswith("ConfigError: ") and "\n" not in message, (override, message)
        assert name in message or other_words.get(name, name) in message, (override, message)
    assert len(told["values"]) > 400


def test_no_message_asks_for_what_was_found(told: dict) -> None:
    assert not [one for one in told["values"].values() if "be nan; found nan" in one]


def test_what_is_not_there_is_said_before_a_run(told: dict) -> None:
    for (overrides, wanted), message in zip(ELSEWHERE, told["elsewhere"], strict=True):
        assert wanted in message, overrides


def test_nothing_slow_is_imported_for_a_refusal(told: dict) -> None:
    assert not told["slow"]


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("model=5", "model"),
        ("seed={a: 1}", "seed"),
        ("seed=[1]", "seed"),
        ("+backbone=resnet18", "backbone"),
        ("nogroup/sub=x", "nogroup"),
        ("model.lr=tag(x)", "tag"),
    ],
)
def test_an_override_that_does_not_fit_is_named(override: str, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        load_config(override)


@pytest.mark.parametrize(
    "override", ["+trainer.gradient_clip_val=0.5", "trainer.devices='0,1'", "trainer.devices=auto"]
)
def test_what_lightning_takes_passes(override: str) -> None:
    check(load_config(override))


def test_a_range_says_what_it_holds() -> None:
    assert [one in Range(0) for one in (10**400, math.inf, math.nan)] == [True, False, False]
    assert str(Range(0)) == "0 or more" and str(Range(0, 1, "(")) == "in (0, 1]"
