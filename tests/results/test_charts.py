"""Charts, checked by what matplotlib was told to draw."""

import io

import numpy as np
import pytest
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from PIL import Image

from rdad.results.charts import loss_figure, pro_figure, roc_figure, score_histogram

RISING = np.linspace(0, 1, 50)


def rendered(figure: Figure) -> np.ndarray:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return np.asarray(Image.open(file))


def test_roc_figure_names_each_curve_with_its_area():
    curves = {"image": (RISING, RISING**0.1), "pixel": (RISING, RISING)}
    figure = roc_figure(curves, {"image": 0.909, "pixel": 0.5})
    legend = figure.axes[0].get_legend()
    assert legend is not None
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["image: AUROC 0.909", "pixel: AUROC 0.500"]
    assert rendered(figure).std() > 5


def test_pro_figure_fills_the_curve_up_to_the_limit_and_not_further():
    figure = pro_figure((RISING, RISING), 0.15, fpr_limit=0.3)
    filled = np.asarray(figure.axes[0].collections[0].get_paths()[0].vertices)
    assert filled[:, 0].max() == pytest.approx(0.3)
    assert filled[:, 1].max() == pytest.approx(0.3)
    assert "AUPRO 0.150" in figure.axes[0].get_title(loc="left")


def test_pro_figure_fills_to_the_limit_where_the_curve_has_no_point_there():
    figure = pro_figure((np.array([0, 0, 1.0]), np.array([0, 1, 1.0])), 1.0, fpr_limit=0.3)
    filled = np.asarray(figure.axes[0].collections[0].get_paths()[0].vertices)
    assert filled[:, 0].max() == pytest.approx(0.3)


def test_score_histogram_stacks_normal_images_first_and_loses_no_image():
    scores = [0.1, 0.2, 0.2, 0.9, 0.8]
    figure = score_histogram(scores, ["scratch", "good", "good", "bent", "scratch"])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["good (2)", "bent (1)", "scratch (2)"]
    bars = [box for box in figure.axes[0].containers if isinstance(box, BarContainer)]
    assert [sum(bar.get_height() for bar in group) for group in bars] == [2, 1, 2]
    assert all(bar.get_y() == 0 for bar in bars[0])


def test_every_type_looks_different_also_when_there_are_more_than_colours():
    types = ["good", *(f"type {number}" for number in range(15))]
    groups = score_histogram(np.arange(16.0).tolist(), types).axes[0].containers
    looks = {(group[0].get_facecolor(), group[0].get_hatch()) for group in groups}
    assert len(looks) == 16


def test_score_histogram_draws_scores_that_are_all_the_same():
    assert rendered(score_histogram([0.5, 0.5], ["good", "bad"])).std() > 5


def test_type_whose_folder_is_no_utf8_is_drawn():
    figure = score_histogram([0.1, 0.2], ["good", "caf\udce9"])
    assert rendered(figure).std() > 5
    assert "caf? (1)" in [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("name", ["_hidden", "$x$", "größe $", "a_b^c"])
def test_any_name_of_a_type_is_drawn_as_it_is(name: str):
    figure = score_histogram([0.5], [name])
    assert rendered(figure).std() > 5
    assert name.strip("_").replace("$", r"\$") in figure.legends[0].get_texts()[0].get_text()


def test_loss_figure_draws_the_losses_only_and_skips_missing_epochs():
    history = [
        {"epoch": 0, "train/loss": 1.0, "val/image_auroc": 0.5},
        {"epoch": 1, "train/loss": 0.01, "val/loss": 0.5},
    ]
    axes = loss_figure(history).axes[0]
    drawn = {line.get_label(): np.asarray(line.get_xydata()).tolist() for line in axes.lines}
    assert drawn == {"train/loss": [[0, 1.0], [1, 0.01]], "val/loss": [[1, 0.5]]}
    assert axes.get_yscale() == "log"


def test_loss_figure_is_linear_within_a_decade_and_when_a_loss_is_undefined():
    history = [{"epoch": 0, "train/loss": 1.0}, {"epoch": 1, "train/loss": float("nan")}]
    assert loss_figure(history).axes[0].get_yscale() == "linear"
    assert rendered(loss_figure([{"epoch": 0}])).std() > 1


def test_charts_leave_pyplot_alone():
    import matplotlib.pyplot as plt

    score_histogram([0.5], ["good"])
    assert plt.get_fignums() == []
