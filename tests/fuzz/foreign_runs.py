"""A run's folder as nobody leaves it: files changed, cut off, or with others in their place."""

import csv
import functools
import json
import os
from pathlib import Path
from random import Random

import numpy as np
import torch
import yaml
from intruder import Intruder
from omegaconf import OmegaConf
from PIL import Image
from trained_runs import ARGUMENTS, make_trained_run

from fuzz.changes import RAN, with_change, words
from rdad.config.compose import load_config
from rdad.data.store import default_cache_dir

MULTIRUN = {"hydra": {"overrides": {"task": ["mode=add"], "hydra": []}}}
RECORDS = (
    "run.json",
    "metrics.json",
    ".hydra/config.yaml",
    ".hydra/overrides.yaml",
    "multirun.yaml",
)
TABLES = ("history.csv", "scores.csv", "calibration.csv")
FILES = (*RECORDS, *TABLES, "model.pt", "train.log", "report.html")
TEXTS = (
    *(text.encode() for text in words('null [] {} 3 "x" { {"status":3} status:')),
    *(b"", b"\0", b"- - -", b"\xff\xfe", b"\xef\xbb\xbf{}", b"\x80\x04}." * 9, b"x" * 300_000),
    *(b"[" * 100_000, b"{a: " * 500, b"a: &a [x]\nb: *a\n", b"!!python/object/new:os.x {}\n"),
    *(b"x,y\n1", b"epoch\nnan\n", b"epoch,train/loss\n1,x\n", b"status: finished"),
    b"hydra: {overrides: {task: [x=1], hydra: []}}",
)


@functools.cache
def parts() -> Path:
    """Images of two kinds, with masks."""
    folder = default_cache_dir() / "parts"
    generator = np.random.default_rng(0)
    for kind, count in (("good", 4), ("bad", 2), ("masks", 2)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            values = generator.integers(0, 256, (70, 60), np.uint8)
            mask = np.where(np.arange(60) < 9, values | 255, 0).astype(np.uint8)
            mask = np.broadcast_to(mask, (70, 60)) if kind == "masks" else values
            Image.fromarray(mask).save(folder / kind / f"{number}.png")
    return folder


@functools.cache
def own_run() -> Path:
    """A small run with all its files, on those images."""
    folder = default_cache_dir() / "run"
    ARGUMENTS["layers"] = ["layer1"]
    params = {"dataset": "folder", "category": "parts", "mode": "add"}
    make_trained_run(folder, params=params, train_seconds=1.0, trained=True)
    given = [
        *("backbone=resnet18", "model.pre_trained=false", "layers=layer1", "tracking=off"),
        *("dataset=folder", f"dataset.root={parts()}", "dataset.normal=good", "trainer=cpu"),
        *("dataset.defects=bad", "dataset.masks=masks", "dataset.image_size=[64,64]"),
        *("dataset.holdout=0.5", "dataset.calibration=0"),
    ]
    (folder / ".hydra" / "config.yaml").write_text(OmegaConf.to_yaml(load_config(*given)))
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(given))
    (folder / "multirun.yaml").write_text(yaml.safe_dump(MULTIRUN))
    (folder / "calibration.csv").write_text("image,score\ngood/0.png,1.0\n")
    return folder


def change(random: Random, run: Path) -> str:
    """Do something to a file of a run; says what."""
    name = random.choice((*FILES, *RECORDS, "model.pt", "model.pt"))
    path, how = run / name, random.random()
    if how < 0.4 and name in RECORDS:
        return f"{name}: {_change_record(random, path)}"
    if how < 0.4 and name in TABLES:
        return f"{name}: {_change_table(random, path)}"
    if how < 0.6 and name == "model.pt":
        return f"{name}: {_change_model(random, path)}"
    content = path.read_bytes() if path.is_file() else b"x"
    path.unlink(missing_ok=True)
    if how < 0.7:
        text = random.choice(TEXTS)
        path.write_bytes(text)
        return f"{name}: {text[:40]!r}"
    if how < 0.85:
        length = random.randrange(len(content) + 1)
        path.write_bytes(content[:length])
        return f"{name}: cut at {length}"
    return f"{name}: {_put_something_else(random, path)}"


def _put_something_else(random: Random, path: Path) -> str:
    kinds = ["nothing", "folder", "pipe", "loop", "secret", "dangling", "zero", "outside"]
    kind = random.choice(kinds)
    targets = {
        "loop": path,
        "secret": Path("../../outside/secret.txt"),
        "dangling": Path("nowhere"),
        "zero": Path("/dev/zero"),
        "outside": Path("../../outside/new"),
    }
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind in targets:
        path.symlink_to(targets[kind])
    return kind


def _change_record(random: Random, path: Path) -> str:
    content = yaml.safe_load(path.read_text()) if path.is_file() else {}
    content, told = with_change(random, content)
    path.unlink(missing_ok=True)
    if path.suffix == ".json":
        path.write_text(json.dumps(content), errors="surrogateescape")
    else:
        path.write_text(yaml.safe_dump(content), errors="surrogateescape")
    return told


def _change_table(random: Random, path: Path) -> str:
    rows = list(csv.reader(path.read_text().splitlines()))
    row = random.choice(rows)
    value = random.choice(["", "nan", "inf", "1e999", "x", "-1", '"', "\x1b[2J", "9" * 400, "=1+1"])
    match random.randrange(4):
        case 0:
            row.pop()
        case 1:
            row.append(value)
        case 2:
            rows.append([value] * random.randint(0, 5))
        case _:
            row[random.randrange(len(row))] = value
    path.unlink()
    path.write_text("\n".join(map(",".join, rows)))
    return f"{value[:40]!r} in {row!r:.60}"


def _change_model(random: Random, path: Path) -> str:
    content = torch.load(path, weights_only=True)
    path.unlink()
    match random.randrange(6):
        case 0:
            torch.save(Intruder(path.parent / RAN), path)
            return "an intruder"
        case 1:
            content[random.choice(list(content))] = Intruder(path.parent / RAN)
            torch.save(content, path)
            return "an intruder in it"
        case 2:
            part = content[random.choice(["bottleneck", "decoder", "encoder"])]
            name = random.choice(list(part))
            part[name] = random.choice([torch.zeros(3), part[name] * float("nan"), "x", None])
            torch.save(content, path)
            return f"{name} is {part[name]!r:.40}"
    tensors = {name: content.pop(name) for name in ("bottleneck", "decoder", "encoder")}
    plain, told = with_change(random, content)
    torch.save({**plain, **tensors} if isinstance(plain, dict) else plain, path)
    return told
