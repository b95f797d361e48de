"""The exported resize against Pillow's, and against a slow one."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from rdad.data.images import resize_image
from rdad.detector.scoring import stretched_map
from rdad.export.resize import resized_pixels, stretched_maps

SIZES = [  # (height, width): larger, smaller, both, odd, the same, lines and points
    (128, 128),
    (300, 500),
    (500, 300),
    (64, 96),
    (65, 95),
    (37, 211),
    (289, 24),
    (1000, 2),
    (1, 700),
    (1, 1),
]


def noise(size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)


def resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    return resized_pixels(torch.from_numpy(image)[None], size)[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_those_of_training_bit_for_bit(size: tuple[int, int]) -> None:
    image = noise(size)
    expected = resize_image(Image.fromarray(image), (64, 96))
    np.testing.assert_array_equal(resized(image, (64, 96)), expected)


def test_images_more_than_16_times_as_large_differ_by_one_grey_level_in_few_pixels() -> None:
    image = noise((3000, 2000))
    difference = np.abs(resized(image, (64, 64)) - resize_image(Image.fromarray(image), (64, 64)))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3


def test_halving_takes_the_triangles_mean() -> None:
    row = np.array([[0, 80, 160, 240]], np.uint8)
    image = np.repeat(row[..., None], 3, axis=2)
    # weights 3 3 1 of 7 at the border: (3 * 0 + 3 * 80 + 160) / 7 and its mirror image
    assert resized(image, (1, 2))[0, :, 0].tolist() == [57, 183]


@pytest.mark.parametrize("size", SIZES)
def test_maps_are_stretched_as_predictions_are(size: tuple[int, int]) -> None:
    anomaly_map = np.random.default_rng(0).random((64, 96), np.float32)
    stretched = stretched_maps(torch.from_numpy(anomaly_map)[None], *size)[0].numpy()
    np.testing.assert_allclose(stretched, stretched_map(anomaly_map, size), atol=1e-6)
