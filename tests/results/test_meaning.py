"""What a result means, by hand and against chance itself."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from rdad.metrics.chance import chance_auroc
from rdad.results.meaning import against_chance, meaning, verdicts
from rdad.results.text_table import metrics_table
from rdad.results.writer import SCORE_COLUMNS
from rdad.runs.files import SCORES_FILE, append_history, write_table


def rows(found: int, missed: int, refused: int, clear: int) -> list[dict[str, str]]:
    kinds = [("1", "1")] * found + [("1", "0")] * missed
    kinds += [("0", "1")] * refused + [("0", "0")] * clear
    return [{"label": label, "predicted": predicted} for label, predicted in kinds]


@pytest.mark.parametrize("counts", [[(15, 16)], [(30, 12)], [(9, 5), (6, 20), (10, 10)]])
def test_scores_that_tell_nothing_exceed_the_limit_in_one_test_of_forty(
    counts: list[tuple[int, int]],
):
    random = np.random.default_rng(0)
    means = np.zeros(20_000)
    for bad, good in counts:
        ranks = rankdata(random.random((len(means), bad + good)), axis=1)[:, :bad].sum(1)
        means += (ranks - bad * (bad + 1) / 2) / (bad * good) / len(counts)
    assert (means > chance_auroc(counts)).mean() == pytest.approx(0.025, abs=0.006)


def test_one_image_of_each_kind_is_never_better_than_chance():
    assert chance_auroc([(1, 1)]) > 1
    assert np.isnan(chance_auroc([(3, 0)])) and np.isnan(chance_auroc([]))


def test_defects_found_and_good_images_refused_are_counted():
    assert verdicts(rows(0, 15, 0, 16)) == (
        "of 15 defects 0 were found, of 16 good images 0 were refused"
    )
    assert verdicts(rows(1, 0, 0, 0)) == "of 1 defect 1 was found"
    unjudged = [{"label": "1", "predicted": ""}]
    assert verdicts(unjudged).startswith("no image was judged")


def test_an_auroc_is_held_against_chance_by_the_number_of_images():
    tested = rows(0, 15, 0, 16)  # 0.5 + 1.96 sqrt(32 / (12 * 15 * 16)) = 0.7066
    worse = against_chance(tested, {"test/image_auroc": 0.7}, epochs=4)
    assert worse.startswith("no better than chance after 4 epochs: image AUROC 0.700, where chance")
    assert "0.707 with 15 defective and 16 good images" in worse and "dataset.tile" in worse
    better = against_chance(tested, {"test/image_auroc": 0.71}, epochs=4)
    assert better.startswith("better than chance: image AUROC 0.710")
    assert "takes good and defective" in against_chance(rows(1, 1, 0, 0), {}, epochs=1)


def test_three_lines_end_a_test_with_the_command_that_comes_next(tmp_path: Path):
    one = ("a.png", "test", "bent", 1, 0.5, 0.7, 1), ("b.png", "test", "good", 0, 0.1, 0.2, 0)
    write_table(tmp_path / SCORES_FILE, SCORE_COLUMNS, one)
    append_history(tmp_path, {"epoch": 0, "train/loss": 1.0})
    (tmp_path / "report.html").touch()
    first, second, third = meaning(tmp_path, {"test/image_auroc": 1.0}, "a run")
    assert first == "of 1 defect 1 was found, of 1 good image 0 was refused"
    assert second.startswith("no better than chance after 1 epoch: ")
    assert third == f"report: {tmp_path}/report.html; next: python -m rdad.predict 'a run' IMAGES"
    assert meaning(tmp_path / "none", {}, "a run") == []


def test_undefined_figures_take_one_line():
    nan = float("nan")
    told = metrics_table({"test/a": 0.5, "test/b": nan, "test/c": nan}, None).splitlines()
    assert told[1:3] == ["  test/a  0.5000", "  undefined: test/b, test/c"]
