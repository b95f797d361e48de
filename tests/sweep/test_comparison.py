"""A sweep's jobs side by side, from folders made by hand."""

import math
import os
import statistics
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sweep_folders import PARAMS, make_job

from rdad import compare_runs
from rdad.compare import main
from rdad.sweep.comparison import complete, over_categories, over_seeds
from rdad.sweep.comparison_figure import comparison_figure
from rdad.sweep.comparison_text import counted, markdown, terminal
from rdad.sweep.jobs import read_jobs, swept


def figures(
    image: float, pixel: float | None = 0.97, aupro: float = 0.9
) -> dict[str, float | None]:
    return {"image_auroc": image, "image_ap": 0.5, "pixel_auroc": pixel, "aupro": aupro}


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two modes, one training; a job that failed, one that was killed, one that said nothing."""
    folder = tmp_path / "sweep"
    make_job(folder, "0_mode-add", figures(0.9), mode="add")
    reused = {"reused_from": "elsewhere"}
    make_job(folder, "1_mode-multiply", figures(0.95), mode="multiply", record=reused)
    make_job(folder, "2_failed", mode="none", record={"reason": "ValueError: no\nsuch | mode"})
    make_job(folder, "10_killed", mode="add", sigma=2.0, record={"status": "running"})
    (make_job(folder, "3_early", mode="add") / "run.json").unlink()
    return folder


def test_a_row_a_job_with_what_was_varied_first_and_costs_behind(sweep: Path) -> None:
    frame = compare_runs(sweep)
    assert list(frame.columns) == [
        *("mode", "sigma", "image_auroc", "image_ap", "pixel_auroc", "aupro"),
        *("train_seconds", "images_per_second", "peak_memory_mib", "reused", "status", "reason"),
    ]
    jobs = ["0_mode-add", "1_mode-multiply", "2_failed", "3_early", "10_killed"]
    assert list(frame.index) == jobs
    assert frame.loc["1_mode-multiply", "image_auroc"] == 0.95
    assert frame.loc["0_mode-add", "peak_memory_mib"] == 768
    assert list(frame["reused"]) == [False, True, False, False, False]


def test_jobs_without_a_result_say_why_and_have_no_figures(sweep: Path) -> None:
    frame = compare_runs(sweep)
    assert list(frame["status"]) == ["finished", "finished", "failed", "running", "running"]
    assert frame.loc["2_failed", "reason"] == "ValueError: no such | mode"
    assert frame.loc["3_early", "reason"] == "killed or still running"
    assert frame.loc["10_killed", "reason"] == "killed or still running"
    assert frame.loc["2_failed":, "image_auroc":"peak_memory_mib"].isna().all(axis=None)


def test_a_parameter_that_only_renames_another_is_left_out(tmp_path: Path) -> None:
    for number, (backbone, weights) in enumerate([("resnet18", "a"), ("resnet34", "b")] * 2):
        mode = "add" if number < 2 else "multiply"
        record = {"params": {"backbone": backbone, "weights": weights, "mode": mode}}
        make_job(tmp_path, f"{number}", figures(0.9), backbone=backbone, mode=mode, record=record)
    assert list(swept(read_jobs([tmp_path]))) == ["backbone", "mode"]


def test_overrides_that_are_no_parameters_are_told_and_resume_is_not(tmp_path: Path) -> None:
    make_job(tmp_path, "0", figures(0.9), optimizer="adam")
    changed: dict[str, Any] = {"optimizer": "sgd", "dataset.seed": 1}
    folder = make_job(tmp_path, "1", figures(0.9), **changed)
    with (folder / ".hydra" / "overrides.yaml").open("a") as file:
        file.write("- resume=true\n")
    columns = swept(read_jobs([tmp_path]))
    assert columns == {"optimizer": ["adam", "sgd"], "dataset.seed": [None, "1"]}


@pytest.mark.parametrize("order", [("seed", "dataset.seed"), ("dataset.seed", "seed")])
@pytest.mark.parametrize("own", [(5, 6), (5, 5)])
def test_two_options_of_one_name_vary_apart(
    tmp_path: Path, order: tuple[str, str], own: tuple[int, int]
) -> None:
    for number, (seed, own_seed) in enumerate(product((1, 2), own)):
        values = {"seed": seed, "dataset.seed": own_seed}
        changed: dict[str, Any] = {key: values[key] for key in order}
        record = {"params": PARAMS | {"seed": seed}}
        make_job(tmp_path, f"{number}", figures(0.9), record=record, **changed)
    columns = swept(read_jobs([tmp_path]))
    varied = {"dataset.seed": ["5", "6", "5", "6"]} if own == (5, 6) else {}
    assert columns == {"seed": [1, 1, 2, 2], **varied}


def test_over_seeds_mean_and_sample_deviation_are_those_of_statistics(tmp_path: Path) -> None:
    values = {"add": [0.90, 0.94, 0.95], "multiply": [0.97]}
    for mode, several in values.items():
        for seed, value in enumerate(several):
            make_job(tmp_path, f"{mode}_{seed}", figures(value), mode=mode, seed=seed)
    make_job(tmp_path, "multiply_1", mode="multiply", seed=1)
    table = over_seeds(read_jobs([tmp_path]))
    assert table is not None
    assert dict(table["n"]) == {"add": 3, "multiply": 1}
    add, multiply = table.loc["add"], table.loc["multiply"]
    assert add["mean", "image_auroc"] == pytest.approx(statistics.mean(values["add"]))
    assert add["std", "image_auroc"] == pytest.approx(statistics.stdev(values["add"]))
    assert math.isnan(multiply["std", "image_auroc"])
    assert "0.9300 ± 0.0265" in terminal(read_jobs([tmp_path]))


def test_a_metric_undefined_for_one_seed_is_undefined_for_the_setting(tmp_path: Path) -> None:
    make_job(tmp_path, "0", figures(0.9), seed=0)
    make_job(tmp_path, "1", figures(0.9, pixel=None), seed=1)
    table = over_seeds(read_jobs([tmp_path]))
    assert table is not None
    assert table["mean", "pixel_auroc"].isna().tolist() == [True]
    assert "undefined" in terminal(read_jobs([tmp_path]))


def test_the_same_setting_in_two_sweeps_counts_once(tmp_path: Path) -> None:
    for sweep_dir, value in (("a", 0.8), ("b", 0.9)):
        for seed in (0, 1):
            make_job(tmp_path / sweep_dir, f"{seed}", figures(value), seed=seed)
    jobs = read_jobs([tmp_path / "a", tmp_path / "b", tmp_path / "b"])
    assert [job.name for job in jobs] == ["a/0", "a/1", "b/0", "b/1"]
    table = over_seeds(jobs)
    assert table is not None
    assert table["n"].tolist() == [2]
    assert table["mean", "image_auroc"].tolist() == [pytest.approx(0.9)]
    assert counted(jobs) == (
        "4 jobs: 4 finished; 2 differ in no setting from a later one, which counts"
    )


def test_the_record_of_a_model_that_is_being_sent_is_no_job(tmp_path: Path) -> None:
    make_job(tmp_path, "0", figures(0.9))
    make_job(tmp_path / "0" / ".draft-model", "data", figures(0.9))
    assert [job.folder.name for job in read_jobs([tmp_path])] == ["0"]


def test_over_categories_the_mean_is_of_categories_that_all_settings_have(tmp_path: Path) -> None:
    for mode, plus in (("add", 0.0), ("multiply", 0.02)):
        for category, value in (("bottle", 0.90), ("cable", 0.94)):
            make_job(
                tmp_path, f"{mode}_{category}", figures(value + plus), mode=mode, category=category
            )
    make_job(tmp_path, "add_grid", figures(0.10), mode="add", category="grid")
    jobs = read_jobs([tmp_path])
    table = over_categories(jobs)
    assert table is not None
    assert ("grid", "add") in table.index
    whole = complete(table, "image_auroc")
    assert list(whole.index) == ["bottle", "cable"]
    assert dict(whole.mean()) == {"add": pytest.approx(0.92), "multiply": pytest.approx(0.94)}
    lines = [line.split("|") for line in markdown(jobs, picture="x.png").splitlines()]
    shown = {
        line[1].strip(): [cell.strip() for cell in line[2:4]] for line in lines if len(line) == 5
    }
    assert shown["bottle"] == ["90.0 / 97.0 / 90.0", "**92.0** / 97.0 / 90.0"]
    assert shown["grid"] == ["10.0 / 97.0 / 90.0", "- / - / -"]
    assert shown["mean"] == ["92.0 / 97.0 / 90.0", "**94.0** / 97.0 / 90.0"]


def test_what_a_data_set_is_compared_by_has_its_mean_over_categories(tmp_path: Path) -> None:
    for category, value in (("can", 0.2), ("vial", 0.5)):
        own = figures(0.9) | {"seg_f1": value, "au_spro_group_mean": value / 2, "pixel_recall": 1}
        make_job(tmp_path, category, own, category=category)
    table = over_categories(read_jobs([tmp_path]))
    assert table is not None
    metrics = ["image_auroc", "pixel_auroc", "aupro", "seg_f1", "au_spro_group_mean"]
    assert list(table.columns) == metrics
    assert "| mean | 90.0 / 97.0 / 90.0 / 35.0 / 17.5 |" in markdown(
        read_jobs([tmp_path]), picture="x.png"
    )


def test_the_best_of_each_column_is_marked_and_equal_columns_have_none(sweep: Path) -> None:
    lines = markdown(read_jobs([sweep]), picture="x.png").splitlines()
    (add,) = [line for line in lines if line.startswith("| 0_mode-add")]
    (multiply,) = [line for line in lines if line.startswith("| 1_mode-multiply")]
    assert "**" not in add
    assert (
        "| multiply | 4 | **0.9500** | 0.5000 | 0.9700 | 0.9000 | 12.5 | 40.0 | 768 | yes |"
        in multiply
    )
    assert r"| 2_failed | failed | ValueError: no such \| mode |" in lines


def test_the_fewest_false_alarms_are_the_best(tmp_path: Path) -> None:
    for mode, rate in (("add", 0.05), ("multiply", 0.02)):
        figures = {"image_recall": 0.9, "image_false_alarm_rate": rate}
        make_job(tmp_path, f"mode-{mode}", figures, mode=mode)
    text = markdown(read_jobs([tmp_path]), picture="x.png")
    assert "| multiply | 0.9000 | **0.0200** |" in text
    assert "| add | 0.9000 | 0.0500 |" in text


def test_the_figure_shows_each_setting_and_says_where_its_axes_begin(sweep: Path) -> None:
    figure = comparison_figure(read_jobs([sweep]))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["image AUROC", "pixel AUROC", "AUPRO"]
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["add · sigma 4", "multiply · sigma 4"]
    drawn = [float(np.asarray(line.get_xdata())[0]) for line in figure.axes[0].get_lines()]
    assert drawn == [0.9, 0.95]
    low, high = figure.axes[0].get_xlim()
    assert figure.axes[0].get_xlabel() == f"axis from {low:.3f} to {high:.3f}"
    assert low < min(drawn) < max(drawn) < high


def test_only_the_best_of_very_many_settings_are_drawn(tmp_path: Path) -> None:
    for number in range(45):
        make_job(tmp_path, f"{number}", figures(0.5 + number / 100), sigma=float(number))
    figure = comparison_figure(read_jobs([tmp_path]))
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [f"sigma {number}" for number in range(5, 45)]
    assert "the best 40 of 45" in figure.get_supxlabel()


def test_the_command_writes_a_table_that_is_the_frame(
    sweep: Path, charts: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(sweep)]) == 0
    printed = capsys.readouterr().out
    assert "5 jobs: 2 finished, 1 failed, 2 running" in printed
    assert "2_failed: ValueError: no such | mode" in printed
    read = pd.read_csv(sweep / "comparison.csv", index_col="job", keep_default_na=True)
    pd.testing.assert_frame_equal(
        read.fillna({"reason": ""}), compare_runs(sweep), check_dtype=False
    )
    assert (sweep / "comparison.md").read_text().startswith("# Comparison of 5 jobs")
    with Image.open(sweep / "comparison.png") as picture:
        assert min(picture.size) > 250


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("file", "content"),
    [
        *[("run.json", text) for text in ("[1, 2]", "null", DEEP, "{", "\xff")],
        ("run.json", '{"status": "finished", "params": ["mode"]}'),
        ("run.json", '{"status": "finished", "params": {"mode": ["add"]}}'),
        ("run.json", '{"status": 1}'),
        ("run.json", '{"status": "finished", "tracking": [1]}'),
        ("run.json", '{"status": "finished", "train_seconds": []}'),
        *[("metrics.json", text) for text in ("[]", "{}", DEEP, '{"test/image_auroc": Infinity}')],
        *[(".hydra/overrides.yaml", text) for text in ("1", "mode: add", "- ][", "{", DEEP[:1000])],
    ],
)
def test_a_broken_job_is_a_failed_row_with_a_reason_and_the_others_stand(
    sweep: Path, file: str, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (sweep / "0_mode-add" / file).write_bytes(content.encode("latin-1"))
    assert main([str(sweep)]) == 0
    assert "5 jobs: 1 finished, 2 failed, 2 running" in capsys.readouterr().out
    frame = compare_runs(sweep)
    broken, other = frame.loc["0_mode-add"], frame.loc["1_mode-multiply"]
    assert broken["status"] == "failed"
    assert broken["reason"]
    assert broken["image_auroc":"peak_memory_mib"].isna().all()
    assert (other["status"], other["image_auroc"]) == ("finished", 0.95)


def test_html_in_names_and_reasons_is_text_on_the_page(tmp_path: Path) -> None:
    for number, mode in enumerate(("<b>add</b>", "multiply & more")):
        name = f"{number}_<b>"
        record = {"params": {"mode": mode}}
        make_job(tmp_path, name, figures(0.9 + number / 100), record=record)
    make_job(tmp_path, "2_<script>", mode="add", record={"reason": "ValueError: <img src=x>"})
    main([str(tmp_path)])
    page = (tmp_path / "comparison.md").read_text()
    assert "| 0_&lt;b&gt; | &lt;b&gt;add&lt;/b&gt; |" in page
    assert "| multiply &amp; more |" in page
    assert "| 2_&lt;script&gt; | failed | ValueError: &lt;img src=x&gt; |" in page
    assert "<" not in page


def test_what_a_terminal_would_obey_in_a_folders_name_is_printed_as_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_job(tmp_path / "a\x1b[31m", "0", figures(0.9))
    assert main([str(tmp_path / "a\x1b[31m")]) == 0
    printed = capsys.readouterr().out
    assert f"written: {tmp_path}/a\\x1b[31m/comparison.html" in printed and "\x1b" not in printed


def test_a_folder_without_a_run_is_one_clear_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 1
    assert f"no run in {tmp_path}" in capsys.readouterr().err
    assert main([str(tmp_path / "gone")]) == 1
    assert "no folder" in capsys.readouterr().err


def test_a_sweep_in_which_nothing_finished_still_says_why(tmp_path: Path) -> None:
    make_job(tmp_path, "0", mode="add", record={"reason": "no images"})
    main([str(tmp_path)])
    assert "| 0 | failed | no images |" in (tmp_path / "comparison.md").read_text()


def test_comparing_needs_neither_mlflow_nor_torch(sweep: Path) -> None:
    code = f"""
import sys
from rdad.compare import main
assert main([{str(sweep)!r}]) == 0
assert not {{"mlflow", "torch", "lightning"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ, capture_output=True)
