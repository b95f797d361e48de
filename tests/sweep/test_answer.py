"""What a sweep answers: the best setting, and whether seeds tell it from the next."""

from pathlib import Path

import pytest
from scipy import stats
from sweep_folders import make_job

from rdad.sweep.answer import answer, paired_interval
from rdad.sweep.comparison_text import terminal
from rdad.sweep.jobs import Job, read_jobs


def sweep(folder: Path, figures: dict[str, list[float]]) -> list[Job]:
    """A job for each seed of each mode."""
    for mode, values in figures.items():
        for seed, value in enumerate(values):
            metrics = {"image_auroc": value, "pixel_auroc": 0.9, "aupro": None}
            make_job(folder, f"{mode}_{seed}", metrics, mode=mode, seed=seed)
    return read_jobs([folder])


def test_one_seed_names_the_best_and_says_that_it_cannot_tell(tmp_path: Path) -> None:
    said = answer(sweep(tmp_path, {"add": [0.9], "multiply": [0.95]}))
    assert said == (
        "best: multiply with image AUROC 0.9500, 0.0500 above add. "
        "One seed cannot tell whether that is chance: seed=1,2,3 can."
    )


def test_seeds_are_paired_so_that_their_common_luck_falls_out(tmp_path: Path) -> None:
    add, multiply = [0.70, 0.80, 0.90], [0.71, 0.812, 0.911]
    said = answer(sweep(tmp_path, {"add": add, "multiply": multiply}))
    assert said.startswith(
        "best: multiply with image AUROC 0.8110, 0.0110 above add. Paired over 3"
    )
    assert said.endswith("(95%): more than chance.")
    low, high = paired_interval([b - a for a, b in zip(add, multiply, strict=True)])
    assert f"{low:+.4f} to {high:+.4f}" in said
    reference = stats.ttest_rel(multiply, add).confidence_interval(0.95)
    assert (low, high) == pytest.approx((reference.low, reference.high))


def test_a_difference_within_the_seeds_is_called_chance(tmp_path: Path) -> None:
    said = answer(sweep(tmp_path, {"add": [0.9, 0.8], "multiply": [0.85, 0.86]}))
    assert said.startswith("best: multiply with image AUROC 0.8550, 0.0050 above add")
    assert said.endswith("chance alone can do that.")


def test_settings_are_compared_in_the_categories_that_all_have(tmp_path: Path) -> None:
    for mode, plus in (("add", 0.0), ("multiply", 0.02)):
        for category in ("bottle", "cable"):
            figures: dict[str, float | None] = {"image_auroc": 0.9 + plus}
            make_job(tmp_path, f"{mode}_{category}", figures, mode=mode, category=category)
    make_job(tmp_path, "add_grid", {"image_auroc": 1.0}, mode="add", category="grid")
    said = answer(read_jobs([tmp_path]))
    assert said.startswith("best: multiply with image AUROC 0.9200, 0.0200 above add.")


def test_settings_of_different_seeds_are_not_said_to_have_one(tmp_path: Path) -> None:
    for mode, seeds in (("add", (1, 2)), ("multiply", (3, 4))):
        for seed in seeds:
            make_job(tmp_path, f"{mode}_{seed}", {"image_auroc": 0.9}, mode=mode, seed=seed)
    said = answer(read_jobs([tmp_path]))
    assert said.endswith(
        ". Fewer than two seeds in common cannot tell whether that is chance: seed=1,2,3 can."
    )


def test_where_only_seeds_vary_there_is_nothing_to_choose(tmp_path: Path) -> None:
    said = answer(sweep(tmp_path, {"add": [0.9, 0.8]}))
    assert said == "one setting: image AUROC 0.8500 ± 0.0707 over 2 seeds"


def test_where_no_seed_has_all_categories_there_is_no_mean(tmp_path: Path) -> None:
    for category, seed in (("bottle", 1), ("cable", 2)):
        make_job(tmp_path, category, {"image_auroc": 0.9}, category=category, seed=seed)
    said = answer(read_jobs([tmp_path]))
    assert said == "one setting: no seed has its image AUROC in all 2 categories"


def test_without_a_result_there_is_no_answer(tmp_path: Path) -> None:
    make_job(tmp_path, "0", mode="add", record={"reason": "no images"})
    assert answer(read_jobs([tmp_path])) == ""


def test_the_table_is_best_first_begins_with_what_varies_and_fits(tmp_path: Path) -> None:
    for number in range(25):
        named = {"backbone": f"network_of_a_rather_long_name_{number}", "sigma": float(number)}
        make_job(tmp_path, f"{number}", {"image_auroc": 0.5 + number / 100}, **named)
    lines = terminal(read_jobs([tmp_path]), width=60).splitlines()
    table = [line for line in lines if line.startswith("network")]
    assert len(table) == 20 and "… and 5 more, in the files" in lines
    assert table[0].split() == [*table[0].split()[:-1], "0.7400*"]
    assert [line.split("_")[6].split()[0] for line in table[:2]] == ["24", "23"]
    assert max(map(len, lines[: lines.index("* the best")])) <= 60
    assert "train_seconds" not in lines[0] and "dataset" not in lines[0]
