"""The table of a sweep over categories beside published figures, by hand-made jobs."""

import csv
import math
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pytest
import yaml
from sweep_folders import PARAMS, make_job

from rdad import compare
from rdad.data.readers.published import PUBLISHED
from rdad.runs.record import CONFIG_FILE
from rdad.sweep.jobs import read_jobs
from rdad.sweep.paper_table import Line, paper_tables
from rdad.sweep.paper_table_text import latex, markdown, verdicts
from rdad.sweep.published import METRICS, known_datasets, published

OWN = {"aupro": "dataset", "fpr_limit": 0.3}


def make(
    folder: Path, figures: Mapping[tuple[str, int], float | None], dataset: str = "mvtec_ad"
) -> Path:
    """Jobs of category and seed with this image AUROC; None for a failed one."""
    for number, ((category, seed), value) in enumerate(figures.items()):
        metrics = None if value is None else {"image_auroc": value, "aupro": value - 0.05}
        record = {} if value is not None else {"reason": "no images"}
        changed = {"category": category, "seed": seed}
        job = make_job(folder, str(number), metrics, record=record, dataset=dataset, **changed)
        config = {"evaluation": OWN, "dataset": {"category": category}}
        (job / CONFIG_FILE).write_text(yaml.safe_dump(config))
    return folder


def test_means_are_of_seeds_then_of_categories_and_groups(tmp_path: Path) -> None:
    found = {("carpet", 1): 0.98, ("carpet", 2): 0.96, ("screw", 1): 0.90, ("screw", 2): 0.94}
    (table,) = paper_tables(read_jobs([make(tmp_path, found)]))
    lines = {line.name: line for line in table.lines}
    assert list(lines) == [
        *("carpet", "screw", "textures (1 of 5)", "objects (1 of 10)", "mean (2 of 15)")
    ]
    assert lines["carpet"].mean("image_auroc") == pytest.approx(97)
    assert lines["carpet"].deviation("image_auroc") == pytest.approx(math.sqrt(2))
    mean = lines["mean (2 of 15)"]
    assert list(mean.figures["image_auroc"]) == pytest.approx([94, 95])
    assert mean.published["image_auroc"] == pytest.approx((98.9 + 97.0) / 2)
    assert "aupro" not in mean.published
    assert set(table.missing) == set(PUBLISHED["mvtec_ad"]) - {"carpet", "screw"}


def test_the_mean_of_all_categories_stands_beside_the_published_mean(tmp_path: Path) -> None:
    every = {(category, 0): 0.95 for category in PUBLISHED["mvtec_ad"]}
    (table,) = paper_tables(read_jobs([make(tmp_path, every)]))
    mean = table.lines[-1]
    assert mean.name == "mean" and not table.missing
    assert mean.published == published("mvtec_ad", "one_class", **OWN).figures["mean"]
    assert mean.difference("image_auroc") == pytest.approx(95 - 98.5)
    assert mean.difference("aupro") == pytest.approx(90 - 93.1)


def test_a_failed_category_leaves_a_hole_that_is_named(tmp_path: Path) -> None:
    found = {("bottle", 0): 0.9, ("cable", 0): None, ("pill", 0): 0.8}
    page = markdown(paper_tables(read_jobs([make(tmp_path, found)])))
    assert "Missing (no images): cable." in page
    assert "screw" in page.partition("Missing (not in the sweep): ")[2].partition("\n")[0]
    assert "| mean (2 of 15) |" in page


def test_a_seed_that_not_all_categories_have_is_left_out_of_the_mean(tmp_path: Path) -> None:
    found = {("bottle", 1): 0.9, ("bottle", 2): 0.8, ("pill", 1): 0.7, ("pill", 2): None}
    (table,) = paper_tables(read_jobs([make(tmp_path, found)]))
    assert table.lines[-1].figures["image_auroc"] == pytest.approx([80])


def test_seeds_without_a_result_are_named_and_not_counted(tmp_path: Path) -> None:
    found = {("bottle", 1): 0.9, ("bottle", 2): 0.8, ("pill", 1): 0.7, ("pill", 2): None}
    page = markdown(paper_tables(read_jobs([make(tmp_path, found)])))
    assert "deviations over at most 2 seeds." in page
    assert "Missing (no images): pill with seed 2." in page


def test_a_job_that_failed_before_it_had_a_seed_is_named_by_its_folder(tmp_path: Path) -> None:
    sweep = make(tmp_path, {("bottle", 1): 0.9, ("pill", 1): 0.7})
    early = {"status": "failed", "reason": "no loss", "params": {}}
    make_job(sweep, "early", record=early, dataset="mvtec_ad", category="pill")
    assert "Missing (no loss): pill in job early." in markdown(paper_tables(read_jobs([sweep])))


@pytest.mark.parametrize("defined", [(None, 0.9), (None, None)])
def test_a_metric_that_is_undefined_in_a_seed_has_neither_mean_nor_deviation(
    tmp_path: Path, defined: tuple[float | None, float | None]
) -> None:
    for number, (category, seed) in enumerate(product(("bottle", "pill"), (0, 1))):
        metrics = {"image_auroc": 0.9, "pixel_auroc": defined[seed]}
        changed = {"category": category, "seed": seed, "dataset": "mvtec_ad"}
        make_job(tmp_path, str(number), metrics, **changed)
    tables = paper_tables(read_jobs([tmp_path]))
    line = tables[0].lines[0]
    assert math.isnan(line.mean("pixel_auroc")) and math.isnan(line.deviation("pixel_auroc"))
    assert line.verdict("pixel_auroc") == "unknown" and line.deviation("image_auroc") == 0
    assert "| 90.0±0.0 | – |" in markdown(tables) and "90.0" in latex(tables)
    assert compare.main([str(tmp_path)]) == 0


def test_a_mean_of_no_seed_brings_no_metric_into_the_table(tmp_path: Path) -> None:
    (table,) = paper_tables(read_jobs([make(tmp_path, {("bottle", 1): 0.9, ("pill", 2): 0.8})]))
    assert table.metrics == ["image_auroc", "aupro"] and table.lines[-1].figures == {}


def test_each_setting_has_a_table(tmp_path: Path) -> None:
    for number, (category, mode) in enumerate(
        (category, mode) for mode in ("add", "multiply") for category in ("01", "02")
    ):
        metrics = {"image_auroc": 0.9}
        make_job(tmp_path, str(number), metrics, category=category, mode=mode, dataset="btad")
    tables = paper_tables(read_jobs([tmp_path]))
    assert [table.title for table in tables] == ["btad, add", "btad, multiply"]


def test_one_category_makes_no_table(tmp_path: Path) -> None:
    assert paper_tables(read_jobs([make(tmp_path, {("bottle", 1): 0.9, ("bottle", 2): 0.8})])) == []


def test_one_network_for_several_categories_is_a_line_for_each(tmp_path: Path) -> None:
    categories = list(PUBLISHED["mvtec_ad"])
    for seed, value in ((1, 0.9), (2, 0.8)):
        each = {f"image_auroc/{one}": value for one in categories}
        each |= {"image_auroc/cable": value + 0.06, "image_auroc/cable/bent": 0.1}
        metrics: dict[str, float | None] = {"image_auroc": 0.5, **each}
        changed = {"dataset": "mvtec_ad", "category": "joint of 15", "seed": seed}
        job = make_job(tmp_path, str(seed), metrics, **changed)
        config = {"evaluation": OWN, "dataset": {"category": categories, "joint": True}}
        (job / CONFIG_FILE).write_text(yaml.safe_dump(config))
    (table,) = paper_tables(read_jobs([tmp_path]))
    lines = {line.name: line for line in table.lines}
    assert table.title == "mvtec_ad, one network for all" and table.seeds == 2
    assert lines["cable"].figures["image_auroc"] == pytest.approx([96, 86])
    assert lines["cable"].published == {"image_auroc": 84.1}
    assert lines["mean"].mean("image_auroc") == pytest.approx(85.4)
    assert lines["mean"].published["image_auroc"] == 94.6


def test_networks_for_one_and_for_several_categories_have_tables_of_their_own(
    tmp_path: Path,
) -> None:
    make(tmp_path / "apart", {("cable", 1): 0.98, ("pill", 1): 0.97})
    metrics: dict[str, float | None] = {
        "image_auroc/cable": 0.5,
        "image_auroc/pill": 0.6,
        "image_auroc": 0.55,
    }
    record = {"params": PARAMS | {"category": "cable+pill"}}
    joint = {"dataset.category": "[cable,pill]", "dataset.joint": "true"}
    job = make_job(tmp_path, "joint", metrics, record=record, dataset="mvtec_ad", **joint)
    config = {"evaluation": OWN, "dataset": {"category": ["cable", "pill"], "joint": True}}
    (job / CONFIG_FILE).write_text(yaml.safe_dump(config))
    apart, joint = paper_tables(read_jobs([tmp_path]))
    assert (apart.title, joint.title) == ("mvtec_ad", "mvtec_ad, one network for all")
    assert joint.lines[0].figures["image_auroc"] == [50]


@pytest.mark.parametrize(
    ("values", "theirs", "expected"),
    [
        ([98.0, 99.0], 99.9, "within"),  # 12.71 * 0.7071 * sqrt(1.5) = 11.0
        ([98.0, 98.1, 98.2], 98.6, "within"),  # 4.303 * 0.1 * sqrt(4 / 3) + 0.05 = 0.547
        ([98.0, 98.1, 98.2], 98.7, "below"),
        ([98.0, 98.1, 98.2], 97.5, "above"),
        ([98.0], 98.0, "unknown"),
    ],
)
def test_a_published_figure_is_judged_as_one_more_seed(
    values: list[float], theirs: float, expected: str
) -> None:
    line = Line("a", {"aupro": values}, {"aupro": theirs})
    assert line.verdict("aupro") == expected


def test_the_command_says_how_far_the_published_figures_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, {("carpet", 1): 0.98, ("carpet", 2): 0.97, ("screw", 1): 0.5})
    assert compare.main([str(tmp_path), "against=published"]) == 0
    printed = capsys.readouterr().out
    assert "carpet" in printed and "−1.4 within" in printed and "−47.0 unknown" in printed
    with (tmp_path / "benchmark.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["category"] for row in rows} >= {"carpet", "screw", "mean (2 of 15)"}
    assert (tmp_path / "benchmark.tex").read_text().count(r"\\") == 6


def test_what_is_not_published_cannot_be_compared_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, {("brick", 1): 0.98, ("grass", 1): 0.9}, dataset="textures")
    assert compare.main([str(tmp_path), "against=published"]) == 1
    assert "no figures are published for these runs" in capsys.readouterr().err


def test_signs_that_latex_reads_are_escaped(tmp_path: Path) -> None:
    make(tmp_path, {("metal_nut", 1): 0.98, ("metal_nut", 2): 0.96, ("pill", 1): 0.9})
    text = latex(paper_tables(read_jobs([tmp_path])))
    assert r"metal\_nut" in text and r"97.0$\pm$1.4" in text


def test_aupro_of_another_definition_is_not_compared_with(tmp_path: Path) -> None:
    own = published("mvtec_ad", "one_class", aupro="dataset", fpr_limit=0.3)
    authors = published("mvtec_ad", "one_class", aupro="per_image", fpr_limit=0.3)
    other = published("mvtec_ad", "one_class", aupro="dataset", fpr_limit=0.05)
    assert (own.figures["mean"]["aupro"], authors.figures["mean"]["aupro"]) == (93.1, 93.9)
    assert "aupro" not in other.figures["mean"]


@pytest.mark.parametrize("dataset", known_datasets())
def test_published_figures_are_per_cent_of_known_categories(dataset: str) -> None:
    for setting in ("one_class", "joint"):
        known = published(dataset, setting, aupro="dataset", fpr_limit=0.3)
        assert all(known.sources) and known.figures.keys() <= {"mean", *PUBLISHED.get(dataset, {})}
        for figures in known.figures.values():
            assert figures.keys() <= set(METRICS)
            assert all(20 < value <= 100 for value in figures.values())


def test_published_means_are_those_of_the_published_categories() -> None:
    for dataset, metrics in {
        "mvtec_ad": METRICS[::3][:2],
        "visa": (*METRICS[::3][:2], "aupro"),
    }.items():
        figures = published(dataset, "one_class", **OWN).figures
        mean = figures.pop("mean")
        for metric in metrics:
            each = [one[metric] for one in figures.values()]
            assert sum(each) / len(each) == pytest.approx(mean[metric], abs=0.06)


def test_verdicts_name_what_is_missing(tmp_path: Path) -> None:
    make(tmp_path, {("candle", 1): 0.98, ("pcb1", 1): 0.9}, dataset="visa")
    said = verdicts(paper_tables(read_jobs([tmp_path])))
    assert "Missing (not in the sweep): capsules" in said and "MambaAD" in said
