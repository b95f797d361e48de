"""What rdad does on a GPU: whether it is right there, and how fast. Run by gpu.sh.

    python benchmarks/gpu.py {correct,steps,latency,epochs,table} FOLDER

Each part adds its rows to FOLDER/gpu.json; `table` prints them. Without a GPU the same code runs on
the CPU with a small network on few images, which tests it and measures nothing.
"""

import csv
import gc
import json
import shutil
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from rdad import ReverseDistillation, RunResult, TrainedModel, load_config, run
from rdad.benchmark.plain_recipe import BETAS, LR, PlainRecipe
from rdad.model.geometry import LAYERS
from rdad.training.feature_cache import cache_features

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
BACKBONE, SIZE, BATCH = ("wide_resnet50_2", 256, 16) if GPU else ("resnet18", 64, 4)
CALLS, BLOCKS = (10, 5) if GPU else (1, 2)
TRAIN, GOOD, DEFECTIVE, FILE_SIZE = (
    (209, 20, 63, 900) if GPU else (8, 2, 3, 96)
)  # MVTec AD's bottle
EPOCHS, CATEGORIES, PAPER_EPOCHS = (6 if GPU else 2), 15, 200
TOLERANCE = 1e-3  # of maps in float32; a training's losses part sooner
LOSS_TOLERANCE = 5e-2  # DDP draws batches in another order

Found = dict[str, Any]


class StopAfterOneEpoch(Callback):
    """Ctrl-C at the end of the first epoch; named in the configuration of a run."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == 0:
            raise KeyboardInterrupt


def correct(book: "Book") -> None:
    for backbone in dict.fromkeys(("resnet18", BACKBONE)):
        book.add(f"maps of {backbone}: GPU from CPU", lambda name=backbone: compared_maps(name))
    few = () if GPU else ("+trainer.limit_train_batches=2",)
    base = (
        "backbone=resnet18",
        "trainer.max_epochs=2",
        f"dataset.image_size=[{SIZE},{SIZE}]",
        *few,
    )
    first = losses_of(book, "a run, float32", *base)
    ddp = ("trainer=ddp", "trainer.devices=1") if GPU else ("trainer=cpu", "trainer.strategy=ddp")
    losses_of(book, "the same on a CPU", *base, "trainer=cpu", expected=first)
    losses_of(book, "one process of DDP", *base, *ddp, expected=first)
    book.add("stopped and resumed", lambda: like(first, resumed(book.folder / "stopped", *base)))
    for option in (
        "precision=bf16",
        "cache_features=none",
        "cache_features=float16",
        "compile=reduce-overhead",
    ):
        losses_of(book, option, *base, option, expected=first)


def resumed(folder: Path, *options: str) -> RunResult:
    """A run that is stopped after its first epoch, and goes on from there."""
    stop = ("+callbacks.stop._target_=gpu.StopAfterOneEpoch", "checkpoint_every_n_epochs=1")
    with suppress(KeyboardInterrupt):
        trained(folder, *options, *stop)
        raise RuntimeError("it was not stopped")
    return trained(folder, *options, *stop, "resume=true")


def compared_maps(backbone: str) -> Found:
    """An untrained network's maps, in float32 without TF32, and in bf16 to see."""
    model = network(backbone).model.eval()
    images = torch.randint(0, 256, (2, 3, SIZE, SIZE), dtype=torch.uint8)
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.inference_mode():
            expected = model(images)
            moved = model.to(DEVICE)
            found, folded = moved(images.to(DEVICE)).cpu(), moved.folded()(images.to(DEVICE)).cpu()
            with autocast():
                rounded = moved(images.to(DEVICE)).float().cpu()
    finally:
        torch.backends.cudnn.allow_tf32 = True
    apart = [float((maps - expected).abs().max()) for maps in (found, folded, rounded)]
    checked = max(apart[:2]) <= TOLERANCE and bool(expected.std() > 0)
    return {
        "found": f"{max(apart[:2]):.1e} apart",
        "more": f"bf16 {apart[2]:.1e}; maps to {float(expected.max()):.2f}",
        "right": checked,
        "apart": apart,
    }


def losses_of(
    book: "Book", name: str, *options: str, expected: Sequence[float] = ()
) -> list[float]:
    """The losses of a run's epochs, told, and compared with those of another."""
    folder = book.folder / name.replace(" ", "-").replace(",", "")
    book.add(name, lambda: like(expected, trained(folder, *options)))
    return epochs_of(folder, "train/loss") if (folder / "history.csv").is_file() else []


def like(expected: Sequence[float], result: RunResult) -> Found:
    losses = epochs_of(result.output_dir, "train/loss")
    away = max((abs(a / b - 1) for a, b in zip(losses, expected, strict=False)), default=0.0)
    finite = all(np.isfinite([*losses, *result.metrics.values()]))
    return {
        "found": f"loss {losses[-1]:.4f}",
        "more": f"{away:.1e} from the first run's" if expected else f"{len(losses)} epochs",
        "right": finite and len(losses) == 2 and away <= LOSS_TOLERANCE,
        "losses": losses,
        "metrics": result.metrics,
    }


def trained(folder: Path, *options: str) -> RunResult:
    """A whole run: it trains, is tested, and leaves all its files."""
    where = () if any(one.startswith("trainer=") for one in options) else (TRAINER,)
    fixed = ("tracking=off", "reuse=false", "model.weights=null", "dataset.calibration=0")
    if "resume=true" not in options:
        shutil.rmtree(folder, ignore_errors=True)
    return run(load_config(*where, *fixed, *options), folder)


TRAINER = "trainer=gpu" if GPU else "trainer=cpu"


def epochs_of(folder: Path, column: str) -> list[float]:
    with (folder / "history.csv").open(newline="") as file:
        return [float(row[column]) for row in csv.DictReader(file)]


@dataclass(frozen=True)
class Recipe:
    """How a training step is computed."""

    name: str
    plain: bool = False
    tf32: bool = True
    cached: bool = True
    bf16: bool = True
    tuned: bool = False  # cudnn.benchmark
    mode: str | None = None  # of torch.compile


RECIPES = (
    Recipe("plain, without TF32", plain=True, tf32=False, bf16=False),
    Recipe("plain, as torch comes", plain=True, bf16=False),
    Recipe("rdad: channels_last float32", cached=False, bf16=False),
    Recipe("+ cached features", bf16=False),
    Recipe("+ bf16"),
    Recipe("  with cudnn.benchmark", tuned=True),
    Recipe("+ compile=default", mode="default"),
    Recipe("+ compile=reduce-overhead", mode="reduce-overhead"),
    Recipe("  and cudnn.benchmark", tuned=True, mode="reduce-overhead"),
)


def steps(book: "Book") -> None:
    peak = matmul_peak()
    book.add("bf16 matrix product", lambda: {"found": f"{peak / 1e12:.0f} TFLOP/s", "peak": peak})
    first: list[float] = []
    for recipe in RECIPES:
        book.add(recipe.name, lambda recipe=recipe: timed_step(recipe, peak, first))


def timed_step(recipe: Recipe, peak: float, first: list[float]) -> Found:
    """Of `CALLS` steps between two waits for the GPU, the median over `BLOCKS`."""
    torch.compiler.reset()
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = recipe.tf32, recipe.tuned
    step, flop = step_of(recipe)
    started = time.perf_counter()
    step()
    synchronise()
    beginning = time.perf_counter() - started
    for _ in range(3):
        step()
    if GPU:
        torch.cuda.reset_peak_memory_stats()
    seconds = [seconds_of(step, CALLS) / CALLS for _ in range(BLOCKS)]
    memory = torch.cuda.max_memory_allocated() / 2**30 if GPU else 0.0
    del step
    gc.collect()
    if GPU:
        torch.cuda.empty_cache()
    rate = BATCH / statistics.median(seconds)
    first.append(rate)
    return {
        "found": f"{rate:.0f} images/s",
        "more": f"{rate / first[0]:.1f} x; {rate / BATCH * flop / peak:.1%} of peak; "
        f"{memory:.1f} GiB; first step {beginning:.1f} s",
        "right": True,
        "seconds": seconds,
        "flop": flop,
        "peak_gib": memory,
        "first_step_s": beginning,
    }


def step_of(recipe: Recipe) -> tuple[Callable[[], object], float]:
    """A training step on one batch, and the floating point operations in it."""
    module = network(BACKBONE).to(DEVICE)
    images = torch.randint(0, 256, (BATCH, 3, SIZE, SIZE), dtype=torch.uint8, device=DEVICE)
    if recipe.plain:
        plain = PlainRecipe(module.model, BACKBONE)
        normalised = module.model.encoder.normalise(images).contiguous()
        return lambda: plain.train_step(normalised), flops(lambda: plain.train_step(normalised))
    indices = torch.arange(BATCH)
    if recipe.cached:
        with torch.no_grad(), autocast(recipe.bf16):
            batches = [(indices, images)]
            encode = module.model.encode
            module.features = cache_features(encode, batches, count=BATCH, device=DEVICE)
    optimizer: Any = module.configure_optimizers()

    def step() -> None:
        with autocast(recipe.bf16):
            loss = module.training_step({"images": images, "indices": indices})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    module.train()
    module.model.encoder.eval()
    count = flops(step)
    if recipe.mode:
        module.compile_training(mode=recipe.mode)
    return step, count


def latency(book: "Book") -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (BATCH, SIZE, SIZE, 3), np.uint8)
    untrained = network(BACKBONE).model.to(DEVICE)
    for count in (1, BATCH):
        some = list(pictures[:count])
        for precision in ("float32", "bf16"):
            model = TrainedModel(untrained, None, "x", precision=precision)
            book.add(
                f"{count} images, {precision}",
                lambda model=model, some=some: call_of(lambda: model.predict_batch(some)),
            )
    plain = PlainRecipe(untrained, BACKBONE)
    plain.bottleneck.eval()
    plain.decoder.eval()
    image = torch.randn(1, 3, SIZE, SIZE)
    book.add("1 image, the plain program", lambda: call_of(lambda: plain.anomaly_map(image)))


def call_of(task: Callable[[], object]) -> Found:
    """From pixels in memory to maps in memory."""
    for _ in range(5 if GPU else 1):
        task()
    seconds = sorted(seconds_of(task, 1) for _ in range(CALLS * BLOCKS))
    late = seconds[int(0.95 * (len(seconds) - 1))]
    return {
        "found": f"{1000 * statistics.median(seconds):.1f} ms",
        "more": f"95 % within {1000 * late:.1f} ms",
        "right": True,
        "seconds": seconds,
    }


def epochs(book: "Book") -> None:
    write_images(book.folder / "images")
    data = ("dataset=mvtec_ad", f"dataset.root={book.folder / 'images'}", "dataset.category=made")
    size = (f"dataset.image_size=[{SIZE},{SIZE}]", f"dataset.batch_size={BATCH}")
    backbone = "backbone=wide_resnet50" if GPU else "backbone=resnet18"
    base = (*data, *size, backbone, f"trainer.max_epochs={EPOCHS}")
    for further in ((), ("precision=bf16",), ("precision=bf16", "compile=reduce-overhead")):
        name = " ".join(further) or "float32"
        book.add(name, lambda name=name, more=further: whole_run(book.folder / name, *base, *more))


def whole_run(folder: Path, *options: str) -> Found:
    started = time.perf_counter()
    trained(folder, *options)
    wall = time.perf_counter() - started
    taken = epochs_of(folder, "train/epoch_seconds")
    epoch = statistics.median(taken[1:])
    test = json.loads((folder / "run.json").read_text())["test_seconds"]
    whole = CATEGORIES * (wall - sum(taken[1:]) + (PAPER_EPOCHS - 1) * epoch) / 60
    return {
        "found": f"{epoch:.2f} s an epoch",
        "more": f"test and files {test:.1f} s; {EPOCHS} epochs in all {wall:.0f} s; "
        f"{CATEGORIES} categories of {PAPER_EPOCHS} epochs: {whole:.0f} min",
        "right": True,
        "epoch_seconds": taken,
        "test_seconds": test,
        "wall_seconds": wall,
        "minutes": whole,
    }


def write_images(root: Path) -> None:
    """A category in MVTec AD's layout: smooth noise, and squares as its defects."""
    random = np.random.default_rng(0)
    folders = [("train/good", TRAIN), ("test/good", GOOD), ("test/square", DEFECTIVE)]
    for folder, count in folders:
        for index in range(count):
            coarse = Image.fromarray(random.integers(0, 256, (40, 40, 3), np.uint8))
            image = coarse.resize((FILE_SIZE, FILE_SIZE), Image.Resampling.BICUBIC)
            mask = Image.new("L", image.size)
            if "square" in folder:
                left, top = random.integers(0, FILE_SIZE // 2, 2).tolist()
                for picture in (image, mask):
                    square = Image.new(picture.mode, [FILE_SIZE // 4] * 2, "white")
                    picture.paste(square, (left, top))
                save(mask, root / "made/ground_truth/square" / f"{index:03}_mask.png")
            save(image, root / "made" / folder / f"{index:03}.png")


def save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, compress_level=1)


def network(backbone: str) -> ReverseDistillation:
    """Untrained, on the CPU, the same at each call."""
    torch.manual_seed(0)
    return ReverseDistillation([SIZE, SIZE], backbone, LAYERS, "add", LR, *BETAS, weights=None)


def autocast(wanted: bool = True) -> Any:
    return torch.autocast(DEVICE.type, torch.bfloat16) if wanted else nullcontext()


def matmul_peak() -> float:
    """Operations a second of a large product in bf16, the median of `BLOCKS`."""
    side = 8192 if GPU else 256
    a, b = (torch.randn(side, side, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    seconds_of(lambda: a @ b, CALLS)
    return (
        2
        * side**3
        * CALLS
        / statistics.median(seconds_of(lambda: a @ b, CALLS) for _ in range(BLOCKS))
    )


def flops(task: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        task()
    return float(counter.get_total_flops())


def seconds_of(task: Callable[[], object], calls: int) -> float:
    synchronise()
    started = time.perf_counter()
    for _ in range(calls):
        task()
    synchronise()
    return time.perf_counter() - started


def synchronise() -> None:
    if GPU:
        torch.cuda.synchronize()


class Book:
    """The rows in gpu.json, written after each one; a failure is a row too."""

    def __init__(self, folder: Path, part: str) -> None:
        self.folder, self.part, self.path = folder.resolve(), part, folder / "gpu.json"

    def rows(self) -> list[Found]:
        return json.loads(self.path.read_text()) if self.path.is_file() else []

    def add(self, name: str, task: Callable[[], Found]) -> None:
        started = time.perf_counter()
        try:
            found = {"right": True, "more": ""} | task()
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            traceback.print_exc()
            said = (str(error).splitlines() or [""])[0][:100]
            found = {"found": "FAILED", "more": f"{type(error).__name__}: {said}", "right": False}
        taken = time.perf_counter() - started
        others = [row for row in self.rows() if (row["part"], row["name"]) != (self.part, name)]
        row = {"part": self.part, "name": name, "taken_s": round(taken, 1), **found}
        self.path.write_text(json.dumps([*others, row], indent=1))
        print(f"{self.part}: {name}: {found['found']} ({taken:.0f} s)", flush=True)


def table(book: Book) -> None:
    name = torch.cuda.get_device_name() if GPU else "CPU, small: these figures mean nothing"
    print(f"\n{name}, torch {torch.__version__}; {BACKBONE}, {SIZE} x {SIZE}, batches of {BATCH}")
    for row in book.rows():
        mark = "" if row["right"] else "  WRONG"
        print(f"{row['part']:<8} {row['name']:<46} {row['found']:<18} {row['more']}{mark}")


if __name__ == "__main__":
    part, place = sys.argv[1], Path(sys.argv[2])
    {"correct": correct, "steps": steps, "latency": latency, "epochs": epochs, "table": table}[
        part
    ](Book(place, part))
