"""Folders that somebody else wrote: runs that are not what a run leaves, and data of any layout.

A command on such a folder gives its result or one message, runs nothing that the folder names, and
neither shows nor keeps what the folder only points at.
"""

import csv
import functools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
import yaml
from intruder import Intruder
from mlflow_stores import new_store
from omegaconf import OmegaConf
from PIL import Image
from trained_runs import ARGUMENTS, make_trained_run

from fuzz.box import SECRET
from fuzz.capture import called
from fuzz.changes import RAN, with_change
from fuzz.images import written
from fuzz.trials import REFUSED, RIGHT
from rdad import data
from rdad.compare import main as compare
from rdad.config.build import prepared
from rdad.config.compose import check, load_config
from rdad.data.store import default_cache_dir
from rdad.evaluate import main as evaluate
from rdad.experiment.resume import finished_before, replayed
from rdad.export.__main__ import COMMAND as EXPORT
from rdad.export.__main__ import export
from rdad.predict.__main__ import COMMAND as PREDICT
from rdad.predict.__main__ import predict
from rdad.register import main as register
from rdad.upload import main as upload

RUN, DATA = "foreign", "parts"
MULTIRUN = {"hydra": {"overrides": {"task": ["mode=add"], "hydra": []}}}
RECORDS = ("run.json", "metrics.json", ".hydra/config.yaml", ".hydra/overrides.yaml", "multirun.yaml")
TABLES = ("history.csv", "scores.csv", "calibration.csv")
FILES = (*RECORDS, *TABLES, "model.pt", "train.log", "report.html")
TEXTS = (
    *(b"", b"\0", b"null", b"[]", b"{}", b"3", b'"x"', b"{", b"- - -", b"\xff\xfe", b"\xef\xbb\xbf{}"),
    *(b"[" * 100_000, b"{a: " * 500, b"a: &a [x]\nb: *a\n", b"!!python/object/new:os.x {}\n"),
    *(b"x,y\n1", b"epoch\nnan\n", b"epoch,train/loss\n1,x\n", b"\x80\x04}." * 9, b"x" * 300_000),
    *(b"hydra: {overrides: {task: [x=1], hydra: []}}", b"status: finished", b'{"status": 3}'),
)


def attempt(random: Random, folder: Path) -> str:
    if random.random() < 0.3:
        return _data(random, folder)
    shutil.copytree(_own_run(), folder / RUN, copy_function=os.link)
    changed = [_change(random, folder / RUN) for _ in range(random.choice([0, 1, 1, 1, 2, 3]))]
    name = random.choice(list(COMMANDS))
    try:
        code, said = called(functools.partial(COMMANDS[name], folder / RUN))
        told = f"exit code {code} of {name} after {changed}: {said[-3000:]}"
    except (OSError, ValueError) as error:
        assert name in FUNCTIONS, f"{name} after {changed}"
        code, said = 1, str(error)
        told = f"{name} after {changed}: {said[-3000:]}"
    except Exception as error:
        raise AssertionError(f"{name} after {changed}") from error
    assert "Traceback" not in said, told
    assert SECRET not in said, told
    assert not list(folder.rglob(RAN)), told
    assert not [path for path in _files(folder) if SECRET.encode() in path.read_bytes()], told
    assert code in (0, 1, 2, 4), told
    assert changed or not code, told
    assert said.strip() or not code, told
    return REFUSED if code else RIGHT


def _files(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in found if path.name != "model.pt" or path.parent.name != RUN]


def _resume(folder: Path) -> int:
    cfg = load_config(*[one for one in replayed([f"resume={folder}"]) if "hydra" not in one])
    check(cfg)
    finished_before(cfg, folder)
    return 0


def _resume_sweep(folder: Path) -> int:
    return replayed([f"resume_sweep={folder}"]) is None


def _upload(folder: Path) -> int:
    store = new_store(folder.parent / "store")
    return upload([str(folder), f"--uri={store}"])


def _register(folder: Path) -> int:
    if code := _upload(folder):
        return code
    return register([str(folder), "name=x", "alias=y"])


COMMANDS: dict[str, Callable[[Path], int]] = {
    "evaluate": lambda folder: evaluate([str(folder), "output=out"]),
    "predict": lambda folder: PREDICT.main(
        predict, [str(folder), str(_parts() / "good"), "output=out", "overlays=true", "maps=true"]
    ),
    "predict by model.pt": lambda folder: PREDICT.main(
        predict, [str(folder / "model.pt"), str(_parts() / "good" / "0.png")]
    ),
    "export": lambda folder: EXPORT.main(export, [str(folder), "format=torch", "calls=0", "output=out"]),
    "upload": _upload,
    "register": _register,
    "compare": lambda folder: compare([str(folder)]),
    "resume": _resume,
    "resume_sweep": _resume_sweep,
}
FUNCTIONS = ("resume", "resume_sweep")


@functools.cache
def _parts() -> Path:
    """Images of two kinds, with masks."""
    folder = default_cache_dir() / DATA
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
def _own_run() -> Path:
    """A small run with all its files, on those images."""
    folder = default_cache_dir() / "run"
    ARGUMENTS["layers"] = ["layer1"]
    params = {"dataset": "folder", "category": "x", "mode": "add"}
    make_trained_run(folder, params=params, train_seconds=1.0, trained=True)
    cfg = load_config(
        *("backbone=resnet18", "model.pre_trained=false", "layers=layer1", "tracking=off"),
        *("dataset=folder", f"dataset.root={_parts()}", "dataset.normal=good", "trainer=cpu"),
        *("dataset.defects=bad", "dataset.masks=masks", "dataset.image_size=[64,64]"),
        *("dataset.holdout=0.5", "dataset.calibration=0"),
    )
    (folder / ".hydra" / "config.yaml").write_text(OmegaConf.to_yaml(cfg))
    (folder / ".hydra" / "overrides.yaml").write_text("- mode=add\n")
    (folder / "multirun.yaml").write_text(yaml.safe_dump(MULTIRUN))
    (folder / "calibration.csv").write_text("image,score\ngood/0.png,1.0\n")
    return folder


def _change(random: Random, run: Path) -> str:
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


def _data(random: Random, folder: Path) -> str:
    """A tree of folders and files as `dataset=folder` and `dataset=mvtec_ad` may be pointed at."""
    for name in ("a/train/good", "a/test/good", "a/test/bad", "a/ground_truth/bad"):
        (folder / name).mkdir(parents=True)
        for number in range(random.choice([0, 1, 3, 5])):
            _put_image(random, folder / name, number)
    for _ in range(random.choice([0, 0, 1, 2])):
        _put_odd_entry(random, folder)
    loading: Any = {"image_size": [32, 32], "calibration": 0, "cache_dir": folder / "cache"}
    try:
        if random.random() < 0.5:
            images = data.mvtec_ad(folder, "a", **loading)
        else:
            chosen = [random.choice(["a/train/good", "a/test/bad", "a", "a/test", "x"]) for _ in range(3)]
            folders: Any = dict(zip(("normal", "defects", "masks"), chosen, strict=True))
            images = data.folder(folder, **folders, **loading)
        prepared(images)
    except (OSError, ValueError) as error:
        assert str(error).strip()
        assert SECRET not in str(error)
        return REFUSED
    assert len(images.train_samples) >= 1
    assert {sample.label for sample in images.train_samples} == {0}
    return RIGHT


def _put_image(random: Random, folder: Path, number: int) -> None:
    name = f"{number}_mask" if folder.parent.name == "ground_truth" else str(number)
    if random.random() < 0.1:
        (folder / f"{name}.png").write_bytes(written(random).content)
        return
    values = np.zeros((40, 40), np.uint8)
    values[:9, : random.choice([1, 9, 30])] = 255
    Image.fromarray(values).save(folder / f"{name}.{random.choice(['png', 'bmp', 'jpg'])}")


def _put_odd_entry(random: Random, folder: Path) -> None:
    places = [path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()]
    name = random.choice(["x.png", "0.PNG", ".x.png", "a\nb.png", "x", "good", "GOOD", "bad.png", "..x"])
    name = random.choice([name, os.fsdecode(b"\xff.png"), "n" * 250 + ".png", "0_mask.png", "Thumbs.db"])
    path = random.choice(places) / name
    if os.path.lexists(path):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    match random.randrange(5):
        case 0:
            path.symlink_to(random.choice([path, path.parent, folder, Path("/dev/zero"), Path("/etc")]))
        case 1:
            path.mkdir()
        case 2:
            os.mkfifo(path)
        case 3:
            path.symlink_to(folder.parent / "outside" / "secret.txt")
        case _:
            path.write_bytes(written(random).content)
