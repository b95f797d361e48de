"""VAD: labels of images alone, and a folder of defects beside the training images."""

import logging
import math

import pytest
from small_trees import SIZE, Put

from rdad.data.readers.vad import read_vad, vad
from rdad.results.evaluation import metrics_for


def test_defects_beside_the_training_images_are_left_out_and_there_are_no_masks(
    put: Put, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    put("vad/train/good/0.png", "vad/train/good/1.png", "vad/train/bad/0.png")
    root = put("vad/test/good/0.png", "vad/test/bad/0.png")
    images = vad(root, image_size=SIZE, cache_dir=root / "cache")
    (batch,) = images.test_dataloader()
    assert (len(images.train_samples), images.has_masks) == (2, False)
    assert "left out: 1 defects among the training images" in caplog.text
    metrics = metrics_for(images)
    metrics.update(
        scores=batch["labels"].float(), labels=batch["labels"], maps=batch["masks"] * 1.0
    )
    figures = metrics.compute()
    assert figures["image_auroc"] == 1 and math.isnan(figures["aupro"])


def test_a_copy_without_the_defects_beside_the_training_images_is_read(put: Put) -> None:
    put("vad/train/good/0.png", "vad/test/good/0.png")
    samples = read_vad(put("vad/test/bad/0.png"), "vad")
    assert (len(samples.train), [one.label for one in samples.test]) == (1, [0, 1])
