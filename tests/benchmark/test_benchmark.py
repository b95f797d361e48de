"""The benchmark: its clock, its arithmetic, and the command as a user runs it."""

import json
import logging
import re
import subprocess
import sys
import time
from pathlib import Path

import commands
import numpy as np
import pytest
import torch
from image_folders import make_category

from rdad.benchmark.clock import Row, Timing, in_turn, peak_bytes
from rdad.benchmark.report import conclusions, heard_from

CPU = torch.device("cpu")
PEAK = 100.0  # GFLOP/s
REPO = Path(__file__).parents[2]
PAGE = (REPO / "docs" / "results.md").read_text(encoding="utf-8")
(COMMAND,) = re.findall(r"^\$ python (-m rdad\.benchmark .+)$", PAGE, flags=re.MULTILINE)
TINY = ["image_size=[32,64]", "batch_size=2", "images=2", "rounds=1", "device=cpu"]


def benchmark(*arguments: str, folder: Path) -> commands.Done:
    return commands.run("-m", "rdad.benchmark", *arguments, folder=folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The command of docs/results.md on a few small images: its folder, and what it printed."""
    folder = tmp_path_factory.mktemp("benchmark")
    make_category(folder / "data" / "mvtec_ad" / "toothbrush")
    done = commands.run(*COMMAND.split(), *TINY, "hydra.run.dir=run", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run", done.stdout


def test_the_command_prints_every_part_and_what_it_says(finished: tuple[Path, str]) -> None:
    _, text = finished
    for part in ("import rdad", "first training step", "decode, first time", "encoder", "step",
                 "bottleneck", "map", "raw maps", "pictures", "epoch", "evaluation"):  # fmt: skip
        assert part in text, part
    assert "times the plain program's images a second" in text
    assert "A step consists of" in text


def test_json_holds_settings_machine_and_parts(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    content = json.loads((folder / "benchmark.json").read_text(encoding="utf-8"))
    assert content["settings"]["batch_size"] == 2
    assert content["machine"]["precision"] == "float32"
    assert content["machine"]["gflop_s"] > 0
    parts = {part["name"]: part for part in content["parts"]}
    assert parts["step"]["ratio"] == pytest.approx(
        parts["step"]["plain"]["median_s"] / parts["step"]["rdad"]["median_s"]
    )
    assert parts["step"]["plain"]["gflop"] > 1.5 * parts["step"]["rdad"]["gflop"] > 0
    assert parts["epoch"]["rdad"]["peak_bytes"] > 0
    assert any("A step consists of" in sentence for sentence in content["conclusions"])


def test_the_chart_is_a_picture(finished: tuple[Path, str]) -> None:
    from PIL import Image

    folder, _ = finished
    with Image.open(folder / "benchmark.png") as picture:
        assert picture.width > 600
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("precision=fp8", "bf16\n\tfloat32"),
        ("trainer.precision=16", "32-true, bf16-mixed"),
        ("device=tpu", "auto, cpu, cuda"),
        ("image_size=[60,64]", "multiples of 32"),
        ("cost=true", "cost"),
        ("batch_size=1", "2 or more"),
        ("round=3", "round"),
        ("dataset=mvtec_ad", "dataset.root"),
        ("+round=3", "a key of the configuration must be one of model, dataset"),
        ("dataset.batch_size=4", "given as batch_size"),
        ("dataset.image_size=[128,128]", "given as image_size"),
        ("dataset.tile=[64,64]", "dataset.tile must be null"),
    ],
)
def test_a_wrong_setting_is_told_without_a_traceback(
    override: str, told: str, tmp_path: Path
) -> None:
    done = benchmark(override, folder=tmp_path)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_import_nothing_slow() -> None:
    code = (
        "import sys, rdad.benchmark.__main__; "
        "print({'torch', 'lightning', 'numpy', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_both_programs_are_called_in_turn_after_one_untimed_call() -> None:
    calls: list[str] = []
    timings = in_turn(lambda: calls.append("a"), lambda: calls.append("b"), rounds=3, device=CPU)
    assert "".join(calls) == "ab" + "ababab"
    assert len(timings[0].seconds) == len(timings[1].seconds) == 3


def test_median_is_the_middle_call() -> None:
    assert Timing((1.0, 50.0, 2.0)).median == 2.0


def test_operations_of_a_matrix_product_are_counted() -> None:
    a, b = torch.ones(20, 30), torch.ones(30, 40)
    [timing] = in_turn(lambda: a @ b, rounds=1, device=CPU)
    assert timing.gflop == pytest.approx(2 * 20 * 30 * 40 / 1e9)


def test_peak_memory_sees_what_was_freed_again() -> None:
    def fill_and_free() -> None:
        values = np.ones(2**24)  # 128 MiB
        time.sleep(0.1)
        del values

    assert 0.9 * 2**27 < peak_bytes(fill_and_free, CPU) < 1.5 * 2**27


def row(name: str, ours: float, plain: float | None = None) -> Row:
    timing = None if plain is None else Timing((plain,))
    return Row("part", name, 10, Timing((ours,), gflop=10), timing)


def said(other_precision: float | None = 0.25) -> str:
    """The conclusions of a step of 0.5 s; in bf16 it takes `other_precision`."""
    rows = [
        row("decode, first time", 2.0),
        row("features, once", 3.0),
        row("epoch", 1.0, 4.0),
        row("evaluation", 5.0, 20.0),
        row("step", 0.5, 2.0),
        row("  bottleneck", 0.1),
        row("  decoder", 0.3),
        row("  loss", 0.05),
        row("  optimiser", 0.05),
    ]
    if other_precision is not None:
        rows.append(row("step in bf16", other_precision))
    return " ".join(conclusions(rows, 40, PEAK))


def test_a_whole_training_pays_once_for_images_and_features() -> None:
    ours, plain = 2 + 3 + 40 * 1 + 5, 40 * 4 + 20
    assert f"{ours} s instead of {plain} s (3.6 x)" in said()


def test_conclusions_say_ratios_the_dearest_piece_first_and_what_would_pay() -> None:
    text = said()
    assert "4.0 times" in text
    assert "decoder 60%, bottleneck 20%" in text
    assert "runs at 20% of" in text  # 10 GFLOP in 0.5 s
    assert "precision=bf16 would make a step 2.0 times as fast" in text


def test_conclusions_without_instructions_for_bf16_say_so() -> None:
    assert "no instructions for bf16" in said(None)


def test_conclusions_do_not_advise_what_does_not_pay() -> None:
    assert "would not pay" in said(0.5)


def test_silenced_loggers_have_their_own_levels_again() -> None:
    logger = logging.getLogger("rdad.of.this.test")
    logger.setLevel(logging.DEBUG)
    with heard_from(logging.ERROR, logger.name):
        assert not logger.isEnabledFor(logging.WARNING)
    assert logger.level == logging.DEBUG


def test_a_gpu_that_is_not_there_is_refused() -> None:
    from rdad.config.mistakes import ConfigError
    from rdad.detector.device import chosen_device

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigError, match="no GPU"):
        chosen_device("cuda")
    assert chosen_device("auto") == CPU


def test_a_single_gpu_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from rdad.config.mistakes import ConfigError
    from rdad.detector.device import chosen_device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="torch sees 1 GPU; allowed here: auto, cpu, cuda"):
        chosen_device("cuda:1")


def test_precision_bf16_runs_the_network_in_bf16() -> None:
    from rdad.detector.device import computing_in

    product = torch.nn.Linear(2, 2)
    with computing_in("bf16", CPU)():
        assert product(torch.ones(1, 2)).dtype == torch.bfloat16
    with computing_in("float32", CPU)():
        assert product(torch.ones(1, 2)).dtype == torch.float32
