"""How far settings are from one of them, by hand-made jobs of two data sets."""

import csv
import statistics
from pathlib import Path

import pytest
from sweep_folders import make_job

from rdad import compare
from rdad.sweep.answer import paired_interval
from rdad.sweep.differences import differences, table
from rdad.sweep.jobs import read_jobs

ADAM = {("toothbrush", 1): 0.80, ("toothbrush", 2): 0.82, ("screw", 1): 0.60, ("screw", 2): 0.70}
ADAMW = {("toothbrush", 1): 0.81, ("toothbrush", 2): 0.84, ("screw", 1): 0.63, ("screw", 2): 0.74}


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """A sweep for each data set, with another root and another batch size."""
    for optimizer, found in (("adam", ADAM), ("adamw", ADAMW)):
        for (category, seed), aupro in found.items():
            record = {"train_seconds": 10.0 if optimizer == "adam" else 5.0}
            job = make_job(
                *(tmp_path / category, f"{optimizer}_{seed}"),
                {"image_auroc": 0.9, "pixel_auroc": 0.9, "aupro": aupro},
                record=record,
                category=category,
                batch_size={"toothbrush": 8, "screw": 16}[category],
                optimizer=optimizer,
                seed=seed,
            )
            # watched after two and four of five epochs
            watched = ["", f"{aupro - 0.025}", f"{aupro - 0.025}", f"{aupro}", f"{aupro}"]
            lines = [f"{epoch},{value}" for epoch, value in enumerate(watched, 1)]
            (job / "history.csv").write_text("\n".join(["epoch,watch/aupro", *lines]) + "\n")
    return [tmp_path / "toothbrush", tmp_path / "screw"]


def test_pairs_are_of_one_sweep_and_seed_and_what_differs_between_sweeps_is_no_setting(
    folders: list[Path],
) -> None:
    means, found = differences(read_jobs(folders), folders, "optimizer adam")
    base, other = sorted(found, key=lambda one: one.setting)
    assert (base.setting, other.setting) == ("optimizer adam", "optimizer adamw")
    assert means["aupro"] == pytest.approx(statistics.fmean(ADAM.values()))
    assert sorted(other.metrics["aupro"]) == pytest.approx([0.01, 0.02, 0.03, 0.04])
    assert list(base.metrics["aupro"]) == [0] * 4 == list(other.metrics["image_auroc"])
    assert other.seconds == pytest.approx([0.5] * 4) and other.pairs == 4


def test_a_length_that_goes_with_the_batch_size_is_no_setting(tmp_path: Path) -> None:
    for category, steps in (("toothbrush", 120), ("screw", 200)):
        for batch in (16, 8):
            values = {"batch_size": batch, "max_steps": steps * 16 // batch, "seed": 1}
            make_job(tmp_path / category, f"{batch}", {"aupro": 0.9}, category=category, **values)
    folders = [tmp_path / "toothbrush", tmp_path / "screw"]
    means, found = differences(read_jobs(folders), folders, "batch_size 16")
    assert {one.setting: one.pairs for one in found} == {"batch_size 16": 2, "batch_size 8": 2}
    assert means["aupro"] == pytest.approx(0.9)


def test_what_goes_with_a_seed_is_a_setting_all_the_same(tmp_path: Path) -> None:
    for seed, optimizer in enumerate(("adam", "adamw"), 1):
        values = {"seed": seed, "optimizer": optimizer}
        make_job(tmp_path, optimizer, {"aupro": 0.9}, category="screw", **values)
    _, found = differences(read_jobs([tmp_path]), [tmp_path], "optimizer adam")
    assert {one.setting: one.pairs for one in found} == {"optimizer adam": 1, "optimizer adamw": 0}


def test_steps_are_counted_until_the_watched_figure_is_the_others_last(
    folders: list[Path],
) -> None:
    _, found = differences(read_jobs(folders), folders, "optimizer adam")
    reached = {one.setting: sorted(one.reached) for one in found}
    assert reached["optimizer adam"] == [0.8] * 4
    # 0.03 and 0.04 above: after two of five epochs these are at the goal already
    assert reached["optimizer adamw"] == [0.4, 0.4, 0.8, 0.8]


def test_one_that_never_came_so_far_is_counted_apart(folders: list[Path]) -> None:
    _, found = differences(read_jobs(folders), folders, "optimizer adamw")
    said = table({"aupro": 0.7}, found, "optimizer adamw")
    base, other = said.splitlines()[1:3]
    assert base.startswith("optimizer adamw") and base.endswith("0.80")
    assert other.endswith("never (0 of 4)")


def test_where_there_is_no_aupro_none_is_missed(tmp_path: Path) -> None:
    for optimizer in ("adam", "adamw"):
        job = make_job(tmp_path, optimizer, {"image_auroc": 0.9}, optimizer=optimizer)
        (job / "history.csv").write_text("epoch,watch/aupro\n1,0.5\n")
    _, found = differences(read_jobs([tmp_path]), [tmp_path], "optimizer adam")
    assert [one.reached for one in found] == [[], []]


def test_an_interval_that_leaves_out_zero_is_marked(
    folders: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.main([*map(str, folders), "against=optimizer adam"]) == 0
    printed = capsys.readouterr().out
    low, high = paired_interval([0.01, 0.02, 0.03, 0.04])
    assert f"+0.0250 ({low:+.4f} to {high:+.4f})*" in printed
    assert "+0.0000 (+0.0000 to +0.0000) " in printed and "0.50 x" in printed
    assert "8 jobs: 8 finished" in printed and "best:" not in printed
    with (folders[0] / "differences.csv").open() as file:
        rows = {(row["setting"], row["metric"]): row for row in csv.DictReader(file)}
    row = rows["optimizer adamw", "aupro"]
    assert float(row["difference"]) == pytest.approx(0.025) and row["pairs"] == "4"
    assert float(row["low"]) == pytest.approx(low) and float(row["high"]) == pytest.approx(high)


def test_a_setting_that_is_not_there_is_one_message_with_those_that_are(
    folders: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.main([str(folders[0]), "against=adam"]) == 1
    told = capsys.readouterr().err
    assert "'optimizer adam', 'optimizer adamw'" in told and "Traceback" not in told


def test_settings_are_named_by_what_they_do_not_share(tmp_path: Path) -> None:
    for number, (mode, sigma) in enumerate((("add", 4), ("multiply", 4), ("add", 2))):
        changed = {"mode": mode, "sigma": sigma}
        make_job(tmp_path, str(number), {"image_auroc": 0.8}, **changed)
    means, found = differences(read_jobs([tmp_path]), [tmp_path], "add · sigma 4")
    names = [line.split("  ")[0] for line in table(means, found, "add · sigma 4").splitlines()[1:4]]
    assert names == ["add · sigma 4", "multiply", "sigma 2"]


def test_one_pair_has_a_difference_and_no_interval(tmp_path: Path) -> None:
    for mode, value in (("add", 0.8), ("multiply", 0.9)):
        make_job(tmp_path, mode, {"image_auroc": value, "aupro": None}, mode=mode)
    means, found = differences(read_jobs([tmp_path]), [tmp_path], "add")
    line = table(means, found, "add").splitlines()[2].split()
    assert line[:3] == ["multiply", "1", "+0.1000"] and "-" in line
