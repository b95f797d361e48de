"""The benchmark: its clock, its arithmetic, and the command as a user runs it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from rdad.benchmark.clock import Timing, interleaved, peak_memory
from rdad.benchmark.conclusion import conclusions, whole_seconds
from rdad.benchmark.growth import MEASURES, Growth
from rdad.benchmark.machine import Machine
from rdad.benchmark.rows import Row
from rdad.benchmark.subject import spread_places
from rdad.detector.device import has_bf16

CPU = torch.device("cpu")
MACHINE = Machine("cpu", "test", 2, "2", "3", {"float32": 100.0, "bf16": 200.0}, 10.0)
TINY = [
    "backbone=resnet18",
    "image_size=[32,64]",
    "batch_size=2",
    "images=4",
    "rounds=1",
    "device=cpu",
    "cost=true",
    "cost_images=[2,4]",
    "cost_sizes=[32,64]",
    "hydra.run.dir=run",
]


def benchmark(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rdad.benchmark", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # tiny tensors: two threads mostly wait
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("benchmark")
    done = benchmark(*TINY, folder=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run", done.stdout


def test_the_command_prints_every_part_and_what_it_says(finished: tuple[Path, str]) -> None:
    _, text = finished
    for part in ("import rdad", "decode, first time", "encoder", "step", "bottleneck", "map",
                 "AUPRO", "raw maps", "pictures", "epoch", "evaluation", "slope"):  # fmt: skip
        assert part in text, part
    assert "times the plain program's images a second" in text
    assert "A step consists of" in text


def test_json_holds_settings_machine_parts_and_growth(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    content = json.loads((folder / "benchmark.json").read_text(encoding="utf-8"))
    assert content["settings"]["batch_size"] == 2
    measured = {"float32"} | ({"bf16"} if has_bf16(CPU) else set())
    assert content["machine"]["gflop_s"].keys() == measured
    parts = {part["name"]: part for part in content["parts"]}
    assert parts["step"]["ratio"] == pytest.approx(
        parts["step"]["plain"]["median_s"] / parts["step"]["rdad"]["median_s"]
    )
    assert parts["step"]["plain"]["gflop"] > 1.5 * parts["step"]["rdad"]["gflop"] > 0
    assert [growth["of"] for growth in content["growth"]] == ["images", "pixels"]
    assert content["growth"][0]["slopes"].keys() == set(MEASURES)


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
        ("cost_images=[50]", "two or more different numbers"),
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
    timings = interleaved(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3, device=CPU
    )
    assert "".join(calls) == "ab" + "ababab"
    assert len(timings["a"].seconds) == len(timings["b"].seconds) == 3


def test_median_is_the_middle_call() -> None:
    assert Timing((1.0, 50.0, 2.0)).median == 2.0


def test_operations_of_a_matrix_product_are_counted() -> None:
    a, b = torch.ones(20, 30), torch.ones(30, 40)
    timing = interleaved({"product": lambda: a @ b}, rounds=1, device=CPU)["product"]
    assert timing.gflop == pytest.approx(2 * 20 * 30 * 40 / 1e9)


def test_peak_memory_sees_what_was_freed_again() -> None:
    with peak_memory(CPU) as peak:
        values = np.ones(2**24)  # 128 MiB
        time.sleep(0.1)
        del values
    assert 0.9 * 2**27 < peak[0] < 1.5 * 2**27


def row(name: str, ours: float, plain: float | None = None, precision: str = "float32") -> Row:
    timing = None if plain is None else Timing((plain,))
    return Row("whole", name, 10, Timing((ours,)), timing, precision)


def measured() -> dict[str, Row]:
    rows = [
        row("first use of the images", 2.0),
        row("features, once", 3.0),
        row("epoch", 1.0, 4.0),
        row("evaluation", 5.0, 20.0),
        row("step", 0.5, 2.0),
        row("bottleneck", 0.1),
        row("decoder", 0.3),
        row("loss", 0.05),
        row("optimiser", 0.05),
        row("step in bf16", 0.25, precision="bf16"),
    ]
    return {one.name: one for one in rows}


def test_a_whole_training_pays_once_for_images_and_features() -> None:
    assert whole_seconds(measured(), epochs=40) == (2 + 3 + 40 * 1 + 5, 40 * 4 + 20)


def test_conclusions_say_ratios_the_dearest_piece_first_and_what_would_pay() -> None:
    text = " ".join(conclusions(list(measured().values()), MACHINE, 40))
    assert "4.0 times" in text
    assert "50 s instead of 180 s (3.6 x)" in text
    assert "decoder 60%, bottleneck 20%" in text
    assert "precision=bf16 would make a step 2.0 times as fast" in text


def test_conclusions_without_instructions_for_bf16_say_so() -> None:
    rows = [one for name, one in measured().items() if name != "step in bf16"]
    assert "no instructions for bf16" in " ".join(conclusions(rows, MACHINE, 40))


def test_conclusions_do_not_advise_what_does_not_pay() -> None:
    rows = measured() | {"step in bf16": row("step in bf16", 0.5, precision="bf16")}
    assert "would not pay" in " ".join(conclusions(list(rows.values()), MACHINE, 40))


@pytest.mark.parametrize("power", [1, 2])
def test_slope_is_the_power_of_the_growth(power: int) -> None:
    amounts = (50, 100, 800)
    seconds = tuple(0.1 * amount**power for amount in amounts)
    growth = Growth("images", amounts, {"epoch": seconds}, (0, 0, 0))
    assert growth.slope("epoch") == pytest.approx(power)


def test_a_limited_data_set_reaches_from_the_first_image_to_the_last() -> None:
    assert spread_places(9, 3).tolist() == [0, 4, 8]
    assert spread_places(2, 5).tolist() == [0, 1]


def test_a_gpu_that_is_not_there_is_refused() -> None:
    from rdad.config.compose import ConfigError
    from rdad.detector.device import chosen_device

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigError, match="no GPU"):
        chosen_device("cuda")
    assert chosen_device("auto") == CPU


def test_precision_bf16_runs_the_network_in_bf16() -> None:
    from rdad.detector.device import computing_in

    product = torch.nn.Linear(2, 2)
    with computing_in("bf16", CPU)():
        assert product(torch.ones(1, 2)).dtype == torch.bfloat16
    with computing_in("float32", CPU)():
        assert product(torch.ones(1, 2)).dtype == torch.float32
