"""Command lines of `rdad.train`: its keys with values of all kinds, other keys, no keys at all.

What is accepted is trained, small and short, and has to leave metrics; all else gets one message.
"""

import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from random import Random

from hydra.core.global_hydra import GlobalHydra

from fuzz.capture import called
from fuzz.changes import words
from fuzz.trials import REFUSED, RIGHT
from rdad.config.compose import CONF_DIR
from rdad.config.schema import FolderConfig, TrainConfig
from rdad.runs.files import read_metrics
from rdad.train import command

SMALL = (
    *("backbone=resnet18", "model.weights=null", "layers=layer1", "trainer=cpu", "tracking=off"),
    *("dataset.image_size=[32,32]", "dataset.calibration=0", "dataset.batch_size=36"),
    *("trainer.max_epochs=1", "artifacts.maps=false", "artifacts.report=false"),
    *("artifacts.overlays=0", "hydra.run.dir=run"),
)
ENDLESS = ("trainer.max_epochs", "dataset.image_size", "dataset.tile")
SEVERAL = ("trainer.devices", "trainer.num_nodes", "trainer.strategy")
SLOW_CHOICES = (
    *("wide_resnet50", "resnet50", "resnet34", "efficientnet_lite0"),
    *("ddp", "paper", "fast", "quick", "bf16"),
)
NUMBERS = ("-1", "0", "1", "2", "3.5", "0.5", "1e-3", "-0.0", "nan", "inf", "-inf", "1e400")
LARGE = ("4294967295", "4294967296", "9223372036854775808", "1" + 40 * "0")
WORDS = (
    *words(r"""
    null true no '' abc layer1 '1' add none auto float16 [] [1] [a,b] [[1]] {} {a:1} [null]
    [32,32] [64,32] [-32,32] ${seed} ${nothing} ${oc.env:SECRET} ${ $ \ ' " a,b ( ) 画像
    ../../outside /dev/zero ~ {_target_:os.mkdir,path:ran} * %s glob(*) range(1,3) choice(1,2)
    - = a=b"""),
    *("a b", "\x1b[2J", "x" * 5000, "[" * 200, "{a:" * 60),
)
NO_OVERRIDES = (
    *words(r"""
    mode = =x + ~ - -- --nothing a.b.c=1 seed==1 SEED=1 model=null dataset=null trainer=null
    ~model ~trainer ~seed model={} dataset={} ++model.lr.x=1 +model.lr=1 seed@x=1
    mode@model=add hydra=x hydra.run.dir= hydra.job.chdir=maybe hydra/launcher=nothing
    resume=nowhere resume_sweep=. resume= resume=/dev/zero objective=[] objective=x
    callbacks={x:1} +callbacks.x={_target_:os.nothing} logger=x experiment=../x backbone=timm
    backbone= mode=[add] layers=layer4 dataset=folder sweep=mode"""),
    *("seed =1", "\0", ""),
)
AT_THE_LIMITS = words("""
    mode=multiply loss=local_cosine layers=layer12 model.sigma=1000 model.sigma=0
    dataset.image_size=[8,8] dataset.image_size=[32,64] dataset.tile=[96,96] dataset.tile=[160,160]
    dataset.tile_overlap=0.9 dataset.batch_size=1000000 dataset.split_seed=-5 dataset.category=grass
    dataset.calibration=0.99 dataset.calibration=0.001 dataset.validation=split
    dataset.validation=test trainer.check_val_every_n_epoch=1 dataset.validation_fraction=1e-9
    dataset.validation_fraction=0.999 model.lr=1e30 model.lr=1e-300 model.beta1=0
    model.beta2=0.9999999999999999 thresholds.image_rate=1e-300 seed=4294967295
    thresholds.pixel_rate=0.9999999999999999 evaluation.fpr_limit=1e-300 evaluation.streaming=true
    evaluation.aupro=per_image cache_features=float16 cache_features=none artifacts.overlays=1
    artifacts.report=true objective=train_seconds checkpoint_every_n_epochs=1""")


def attempt(random: Random, folder: Path) -> str:
    arguments = [*SMALL, *_arguments(random)]
    code, said = called(partial(_train, arguments))
    told = f"exit code {code} for {arguments[len(SMALL) :]}: {said[-3000:]}"
    assert "Traceback" not in said, told
    if code == 0:
        assert read_metrics(folder / "run")["test/image_auroc"] >= 0, told
        return RIGHT
    assert code in (1, 2), told
    assert said.strip(), told
    assert not list(folder.rglob("metrics.json")), told
    return REFUSED


def _train(arguments: list[str]) -> None:
    before, sys.argv = sys.argv, ["rdad.train", *arguments]
    GlobalHydra.instance().clear()
    try:
        command()
    finally:
        sys.argv = before


def _arguments(random: Random) -> list[str]:
    if random.random() < 0.2:
        return random.sample(NO_OVERRIDES, random.randint(1, 2))
    if random.random() < 0.2:
        return random.sample(AT_THE_LIMITS, random.randint(1, 4))
    return [_override(random) for _ in range(random.choice([1, 1, 2, 3]))]


def _override(random: Random) -> str:
    if random.random() < 0.1:
        group, option = random.choice(CHOICES)
        return f"{group}={option}"
    key = random.choice(KEYS)
    if random.random() < 0.1:
        key = random.choice([key.upper(), f"{key}x", f"{key}.x", key[1:], f"x.{key}", key * 3])
    sign = random.choice(["", "", "", "", "", "+", "++", "~"])
    values = WORDS if key in SEVERAL else NUMBERS + WORDS
    values = values if key in (*ENDLESS, *SEVERAL) else values + LARGE
    return f"{sign}{key}={random.choice(values)}"


def _keys(schema: type, place: str = "") -> Iterator[str]:
    for one in fields(schema):
        if isinstance(one.type, type) and is_dataclass(one.type):
            yield from _keys(one.type, f"{place}{one.name}.")
        elif f"{place}{one.name}" not in ("tracking", "compile", "resume"):
            yield f"{place}{one.name}"


KEYS = (*_keys(TrainConfig), *(f"dataset.{one.name}" for one in fields(FolderConfig)))
CHOICES = [
    (path.parent.name, path.stem)
    for path in sorted(CONF_DIR.glob("*/*.yaml"))
    if path.stem not in SLOW_CHOICES and path.parent.name not in ("sweep", "tracking")
]
