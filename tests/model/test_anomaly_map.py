"""The anomaly map, by hand and against scipy's Gaussian filter."""

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from scipy.ndimage import gaussian_filter
from small_networks import feature_maps
from torch import Tensor
from torch.nn import functional as F

from rdad.model.anomaly_map import AnomalyMapGenerator, gaussian_matrix, image_scores
from rdad.model.names import Mode

SHAPES = ((2, 8, 16, 16), (2, 12, 8, 8), (2, 16, 4, 4))
SIZES = [(64, 64), (64, 96), (32, 160), (8, 8), (5, 7), (1, 1), (1, 40)]


def student_and_teacher(*shapes: tuple[int, ...]) -> tuple[list[Tensor], list[Tensor]]:
    shapes = shapes or SHAPES
    return feature_maps(*shapes, seed=1), feature_maps(*shapes, seed=2)


def scipys_maps(
    student: list[Tensor], teacher: list[Tensor], size: tuple[int, int], mode: str, sigma: float
) -> np.ndarray:
    """As the authors' test.py does it: one image at a time, scipy's filter at its defaults."""
    images = []
    for index in range(len(student[0])):
        joined = np.zeros(size) if mode == "add" else np.ones(size)
        for s, t in zip(student, teacher, strict=True):
            distance = 1 - F.cosine_similarity(s[index : index + 1], t[index : index + 1])
            scaled = F.interpolate(distance[None], size, mode="bilinear", align_corners=True)
            layer = scaled[0, 0].double().numpy()
            joined = joined + layer if mode == "add" else joined * layer
        images.append(gaussian_filter(joined, sigma=sigma) if sigma else joined)
    return np.stack(images)[:, None]


@pytest.mark.parametrize("sigma", [0, 0.5, 4, 7.3])
@pytest.mark.parametrize("mode", ["add", "multiply"])
def test_maps_equal_scipys(mode: Mode, sigma: float):
    pair = student_and_teacher()
    found = AnomalyMapGenerator((64, 64), sigma, mode)(*pair)
    assert found.dtype == torch.float32
    expected = scipys_maps(*pair, (64, 64), mode, sigma)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("size", SIZES)
def test_maps_equal_scipys_at_any_size_also_below_the_blurs_radius(size: tuple[int, int]):
    pair = student_and_teacher()
    found = AnomalyMapGenerator(size, mode="add")(*pair)
    assert found.shape == (2, 1, *size)
    expected = scipys_maps(*pair, size, "add", 4)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("sigma", [0.1, 1, 4])
@pytest.mark.parametrize("length", [1, 2, 3, 16, 17, 33, 100])
def test_gaussian_matrix_is_scipys_filter(length: int, sigma: float):
    expected = gaussian_filter(np.eye(length), sigma, axes=0)
    found = gaussian_matrix(length, sigma)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("mode", "expected"), [("add", [[1.0, 3.0], [2.0, 1.5]]), ("multiply", [[0, 2], [0, 0.5]])]
)
def test_map_of_two_layers_without_blur_by_hand(mode: Mode, expected: list[list[float]]):
    east, west, north = (1.0, 0.0), (-1.0, 0.0), (0.0, 1.0)
    # distances of the places: first layer 0, 1, 2, 0.5 from angles 0°, 90°, 180°, 60°
    first = torch.tensor([[east, north], [west, (0.5, 0.75**0.5)]]).permute(2, 0, 1)[None]
    # second layer 1, 2, 0, 1
    second = torch.tensor([[north, west], [east, north]]).permute(2, 0, 1)[None]
    teacher = torch.tensor(east).view(1, 2, 1, 1).expand(1, 2, 2, 2)
    generator = AnomalyMapGenerator((2, 2), sigma=0, mode=mode)
    found = generator([first, second], [teacher, teacher])
    torch.testing.assert_close(found[0, 0], torch.tensor(expected), rtol=0, atol=1e-6)


def test_corners_of_a_layer_are_the_corners_of_its_map():
    student, teacher = student_and_teacher((1, 3, 4, 4))
    distance = 1 - F.cosine_similarity(student[0], teacher[0])[0]
    found = AnomalyMapGenerator((32, 48), sigma=0, mode="add")(student, teacher)[0, 0]
    torch.testing.assert_close(found[:: 32 - 1, :: 48 - 1], distance[::3, ::3], rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", ["add", "multiply"])
def test_equal_features_give_a_map_of_zeros(mode: Mode):
    _, teacher = student_and_teacher()
    stretched = [2 * feature for feature in teacher]
    found = AnomalyMapGenerator((64, 64), mode=mode)(stretched, teacher)
    torch.testing.assert_close(found, torch.zeros(2, 1, 64, 64), rtol=0, atol=1e-6)


def test_add_is_at_most_two_a_layer_and_reaches_it():
    _, teacher = student_and_teacher()
    generator = AnomalyMapGenerator((64, 64), mode="add")
    opposite = generator([-feature for feature in teacher], teacher)
    torch.testing.assert_close(opposite, torch.full((2, 1, 64, 64), 6.0), rtol=0, atol=1e-5)
    assert generator(*student_and_teacher()).max() <= 6


def test_multiply_is_zero_where_one_layer_agrees():
    student, teacher = student_and_teacher()
    student[0][:, :, :8] = teacher[0][:, :, :8]  # the upper half of 16 rows
    found = AnomalyMapGenerator((64, 64), sigma=0, mode="multiply")(student, teacher)
    rows_between_agreeing_places = int(7 * 63 / 15) + 1
    agreeing, rest = found.split(
        [rows_between_agreeing_places, 64 - rows_between_agreeing_places], 2
    )
    assert agreeing.abs().max() < 1e-6
    assert rest.max() > 0.1


def test_blur_keeps_a_constant_map():
    constant = torch.full((1, 1, 40, 64), 0.7)
    found = AnomalyMapGenerator((40, 64)).blur(constant)
    torch.testing.assert_close(found, constant, rtol=0, atol=1e-6)


def test_blur_keeps_the_sum_of_a_map():
    maps = torch.rand(1, 1, 40, 64, generator=torch.Generator().manual_seed(0))
    found = AnomalyMapGenerator((40, 64)).blur(maps).sum()
    torch.testing.assert_close(found, maps.sum(), rtol=1e-5, atol=0)


def test_bfloat16_features_give_a_float32_map_of_their_values():
    student, teacher = ([x.bfloat16() for x in side] for side in student_and_teacher())
    generator = AnomalyMapGenerator((64, 64), mode="add")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = generator(student, teacher)
    assert found.dtype == torch.float32
    expected = generator([x.float() for x in student], [x.float() for x in teacher])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_defaults_are_multiply_and_a_blur_of_four_pixels():
    generator = AnomalyMapGenerator((8, 8))
    assert (generator.mode, generator.sigma) == ("multiply", 4)


def test_image_size_may_be_an_omegaconf_list():
    generator = AnomalyMapGenerator(OmegaConf.create([64, 96]), mode="add")
    assert generator(*student_and_teacher()).shape == (2, 1, 64, 96)
    assert generator.image_size == (64, 96) and type(generator.image_size) is tuple


def test_generator_adds_nothing_to_a_state_dict():
    assert not AnomalyMapGenerator((8, 8)).state_dict()


@pytest.mark.parametrize("mode", ["sum", "ADD", "", None])
def test_unknown_mode_is_refused_with_both_that_are_known(mode):
    with pytest.raises(ValueError, match=f"must be add or multiply; found {mode!r}"):
        AnomalyMapGenerator((8, 8), mode=mode)


@pytest.mark.parametrize("sigma", [-1, float("nan")])
def test_sigma_below_zero_is_refused(sigma: float):
    with pytest.raises(ValueError, match=f"0 or more pixels; found {sigma}"):
        AnomalyMapGenerator((8, 8), sigma)


@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        ([(1, 2, 3, 3)], [(1, 2, 4, 3)]),
        ([(1, 2, 3, 3)], [(1, 2, 3, 3), (1, 2, 2, 2)]),
        ([], []),
    ],
    ids=["sizes", "numbers of layers", "no layer"],
)
def test_features_that_do_not_pair_up_are_refused(student, teacher):
    with pytest.raises(ValueError, match="of equal shapes; found"):
        AnomalyMapGenerator((8, 8))(feature_maps(*student), feature_maps(*teacher))


@pytest.mark.parametrize(("share", "kept"), [(0, 1), (0.001, 1), (0.05, 3), (0.5, 35), (1, 70)])
def test_a_score_is_the_mean_of_the_highest_pixels(share: float, kept: int):
    (maps,) = feature_maps((4, 1, 7, 10))
    expected = [np.sort(one.double().numpy().ravel())[-kept:].mean() for one in maps]
    assert image_scores(maps, share).tolist() == pytest.approx(expected, abs=1e-6)
    generator = AnomalyMapGenerator((8, 8), score_share=share)
    assert torch.equal(generator.scores(maps), image_scores(maps.squeeze(1), share))


def test_a_score_is_the_maximum_by_default_and_of_no_other_share_than_one():
    (maps,) = feature_maps((4, 1, 7, 10))
    assert torch.equal(AnomalyMapGenerator((8, 8)).scores(maps), maps.amax((1, 2, 3)))
    with pytest.raises(ValueError, match=r"in \[0, 1\]; found 1\.5"):
        AnomalyMapGenerator((8, 8), score_share=1.5)


def ragged_valid() -> Tensor:
    """(2, 1, 64, 64): a disc, and a band with a hole."""
    rows, columns = np.mgrid[:64, :64]
    disc = (rows - 30) ** 2 + (columns - 20) ** 2 < 15**2
    band = (rows > 40) & ~((rows == 50) & (columns > 30))
    return torch.from_numpy(np.stack([disc, band]))[:, None]


@pytest.mark.parametrize("mode", ["add", "multiply"])
def test_maps_of_valid_pixels_are_means_over_valid_neighbours_alone(mode: Mode):
    (student, teacher), valid, sigma = student_and_teacher(), ragged_valid(), 2.0
    found = AnomalyMapGenerator((64, 64), sigma, mode)(student, teacher, valid).numpy()
    for index, seen in enumerate(valid[:, 0].numpy()):
        joined = np.zeros((64, 64)) if mode == "add" else np.ones((64, 64))
        for s, t in zip(student, teacher, strict=True):
            distance = (1 - F.cosine_similarity(s[index : index + 1], t[index : index + 1]))[0]
            side = 64 // len(distance)
            places = seen.reshape(len(distance), side, -1, side).any(axis=(1, 3))
            layer = np.zeros((64, 64))
            for row, column in np.argwhere(seen):  # the four places around a pixel
                down, across = (at * (len(distance) - 1) / 63 for at in (row, column))
                weights = np.outer(
                    *(
                        np.maximum(0, 1 - np.abs(np.arange(len(distance)) - at))
                        for at in (down, across)
                    )
                )
                layer[row, column] = np.average(distance.numpy(), weights=weights * places)
            joined = joined + layer if mode == "add" else joined * layer
        sums, weights = (gaussian_filter(one * 1.0, sigma)[seen] for one in (joined * seen, seen))
        np.testing.assert_allclose(found[index, 0][seen], sums / weights, rtol=0, atol=1e-5)
        assert (found[index, 0][~seen] == 0).all()


def test_nothing_of_ignored_places_enters_a_valid_pixels_value():
    (student, teacher), valid = student_and_teacher(), ragged_valid()
    generator = AnomalyMapGenerator((64, 64), 4, "add")
    before = generator(student, teacher, valid)
    for layer in student:
        side = 64 // layer.shape[2]
        layer.masked_fill_(F.max_pool2d(valid.float(), side) == 0, -3)
    assert torch.equal(generator(student, teacher, valid), before)


def test_where_all_is_valid_maps_are_those_of_all():
    pair, every = student_and_teacher(), torch.ones(2, 1, 64, 64, dtype=torch.bool)
    generator = AnomalyMapGenerator((64, 64), 4, "add")
    torch.testing.assert_close(generator(*pair, every), generator(*pair), rtol=0, atol=1e-6)


@pytest.mark.parametrize("share", [0, 0.004, 0.1, 1])
def test_scores_are_those_of_the_valid_pixels_alone(share: float):
    maps = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0)) - 0.5
    valid = ragged_valid()
    alone = [image_scores(maps[one][valid[one]][None], share) for one in (0, 1)]
    torch.testing.assert_close(image_scores(maps, share, valid), torch.cat(alone))
