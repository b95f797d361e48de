"""Charts of a run: numbers in, matplotlib figures out. Writes no file, keeps no global state."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Curve: TypeAlias = tuple[NDArray[np.floating], NDArray[np.floating]]

# Okabe and Ito's colours, told apart with every kind of colour vision; grey is for normal images.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
NORMAL_COLOUR = "#A6A6A6"
HATCHES = ("", "////", "....", "xxxx")  # the next round of colours, for more types than colours
NORMAL = "good"
BINS = 30
LONGEST_LABEL = 60  # letters: longer ones leave the chart no room


def roc_figure(curves: "Mapping[str, Curve]", areas: Mapping[str, float]) -> Figure:
    """ROC curves, with the areas in the legend.

    Args:
        curves: Per name, such as "image", the false and the true positive rates, both rising from
            0 to 1.
        areas: The AUROC of each name.
    """
    figure, axes = _chart("ROC", "false positive rate", "true positive rate", side=4.6)
    axes.plot([0, 1], [0, 1], color="#BBBBBB", linewidth=1, linestyle=(0, (4, 4)))
    for number, (name, (false_positives, true_positives)) in enumerate(curves.items()):
        label = f"{_plain(name)}: AUROC {areas[name]:.3f}"
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(false_positives, true_positives, color=colour, linewidth=2, label=label)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.legend(loc="lower right", frameon=False)
    return figure


def pro_figure(curve: "Curve", area: float, *, fpr_limit: float = 0.3) -> Figure:
    """The per-region overlap over the false positive rate; what AUPRO measures is filled.

    Args:
        curve: False positive rates, rising, and the mean overlap of the defect regions at each.
        area: The AUPRO.
    """
    rates, overlaps = (np.asarray(values, dtype=np.float64) for values in curve)
    inside = np.append(rates[rates < fpr_limit], fpr_limit)
    heights = np.append(overlaps[rates < fpr_limit], np.interp(fpr_limit, rates, overlaps))
    title = f"Per-region overlap, all images: AUPRO {area:.3f} up to {fpr_limit:g}"
    figure, axes = _chart(title, "false positive rate (pixels)", "mean overlap of defect regions")
    axes.fill_between(inside, heights, color=COLOURS[0], alpha=0.18, linewidth=0)
    axes.plot(rates, overlaps, color=COLOURS[0], linewidth=2)
    axes.axvline(fpr_limit, color="#BBBBBB", linewidth=1, linestyle=(0, (4, 4)))
    axes.set(xlim=(0, min(1.0, 1.35 * fpr_limit)), ylim=(0, 1.02))
    return figure


def score_histogram(scores: Sequence[float], defect_types: Sequence[str]) -> Figure:
    """Stacked histogram of the image scores by defect type, normal images (`good`) first.

    Args:
        scores: Finite, one an image.
        defect_types: As many.
    """
    values, types = np.asarray(scores, dtype=np.float64), np.asarray(defect_types, dtype=object)
    names = sorted(set(defect_types), key=lambda name: (name != NORMAL, name))
    bins = np.histogram_bin_edges(values, bins=BINS)
    figure, axes = _chart("Image scores", "raw anomaly score", "images")
    below = np.zeros(BINS)
    for name, (colour, hatch) in zip(names, _looks(names), strict=True):
        counts, _ = np.histogram(values[types == name], bins=bins)
        label = f"{_plain(name)} ({counts.sum()})"
        bars = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.6}
        axes.bar(bins[:-1], counts, np.diff(bins), below, align="edge", label=label, **bars)
        below += counts
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def loss_figure(history: Sequence[Mapping[str, float]]) -> Figure:
    """Losses over the epochs, on a logarithmic scale where they span more than a decade.

    Args:
        history: Rows with `epoch`; every column whose last part is `loss` is drawn.
    """
    names = dict.fromkeys(name for row in history for name in row if _is_loss(name))
    figure, axes = _chart("Loss", "epoch", "loss")
    lowest, highest = np.inf, 0.0
    for number, name in enumerate(names):
        points = [(row["epoch"], row[name]) for row in history if name in row]
        epochs, losses = np.asarray(points, dtype=np.float64).T
        lowest, highest = min(lowest, np.nanmin(losses)), max(highest, np.nanmax(losses))
        marker = "o" if len(points) < 20 else None
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(epochs, losses, colour, linewidth=2, marker=marker, ms=4, label=_plain(name))
    if highest > 10 * lowest > 0:
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if names:
        axes.legend(frameon=False)
    return figure


def _chart(title: str, across: str, up: str, *, side: float = 4.0) -> "tuple[Figure, Axes]":
    figure = Figure(figsize=(4.8 if side > 4 else 6.4, side), dpi=150)
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#E6E6E6", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def _looks(names: Sequence[str]) -> list[tuple[str, str]]:
    """Colour and hatch of each type."""
    looks = [(colour, hatch) for hatch in HATCHES for colour in COLOURS]
    defects = (looks[number % len(looks)] for number in range(len(names)))
    return [(NORMAL_COLOUR, "") if name == NORMAL else next(defects) for name in names]


def _is_loss(name: str) -> bool:
    return name.rsplit("/", 1)[-1] == "loss"


def _plain(text: str) -> str:
    """Text that matplotlib neither reads as mathematics nor, for its first letter, hides.

    Bytes of a file's name that are no UTF-8 become question marks; a long name is cut.
    """
    text = text.encode(errors="replace").decode()
    if len(text) > LONGEST_LABEL:
        text = f"{text[: LONGEST_LABEL - 3]}..."
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")
