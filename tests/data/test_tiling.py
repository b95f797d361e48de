"""Where tiles lie, what is cut, and how their maps are joined to one."""

import json

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from rdad.data.tiles import cut, pad_to_tile
from rdad.data.tiling import Size, Tiling
from rdad.detector.scoring import score, stretched_map
from rdad.detector.tile_blend import TileBlend, window
from rdad.model.anomaly_map import AnomalyMapGenerator, blur_map
from rdad.model.torch_model import ReverseDistillationModel

SHAPES = [(64, 64), (65, 64), (100, 231), (40, 200), (20, 30), (1, 1), (333, 64)]
CPU = torch.device("cpu")


def photograph(size: Size, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def blended(image: np.ndarray, tiling: Tiling, network, *, sigma: float = 0.0) -> Tensor:
    """(H, W): what `network`, from (B, h, w, 3) tiles to (B, h, w) maps, says of the image."""
    size = image.shape[:2]
    places = tiling.places(size)
    maps = network(cut(pad_to_tile(image, tiling), tiling, places, tiling.size))
    blend = TileBlend(tiling, size, CPU)
    for start in range(0, len(places), 3):
        some = slice(start, start + 3)
        blend.add(torch.from_numpy(maps[some])[:, None], places[some])
    return blend.finished(sigma=(sigma, sigma))[0, 0]


def brightness(tiles: np.ndarray) -> np.ndarray:
    """A map that depends on each pixel alone, and so is the same wherever a tile is cut."""
    return tiles.astype(np.float32).sum(-1) / 765


def test_places_of_a_small_case_are_those_worked_out_by_hand():
    # Steps of at most 6 of 8 pixels: 3 gaps over 20 - 8 = 12 would be steps of 4, 2 are of 6.
    assert Tiling((8, 8), 0.25).places((8, 20)) == [(0, 0), (0, 6), (0, 12)]
    assert Tiling((8, 8), 0.25).places((8, 21)) == [(0, 0), (0, 4), (0, 9), (0, 13)]
    assert Tiling((8, 10), 0.0).places((16, 20)) == [(0, 0), (0, 10), (8, 0), (8, 10)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.25, 0.5, 0.9])
def test_tiles_cover_the_image_to_its_borders_and_overlap_as_asked(shape: Size, overlap: float):
    tiling = Tiling((64, 48), overlap)
    places, padded = tiling.places(shape), tiling.padded(shape)
    for axis in (0, 1):
        starts, side = sorted({place[axis] for place in places}), tiling.size[axis]
        assert starts[0] == 0 and starts[-1] + side == padded[axis]
        steps = np.diff(starts)
        assert (side - steps >= overlap * side).all()
        assert steps.size == 0 or steps.max() - steps.min() <= 1
    assert len(places) == len(set(places))


def test_a_tile_is_resized_by_the_filter_that_images_are_resized_by():
    from PIL import Image

    image = photograph((90, 70))
    (tile,) = cut(image, Tiling((40, 30)), [(50, 40)], (64, 32))
    own = Image.fromarray(image[50:90, 40:70]).resize((32, 64), Image.Resampling.BILINEAR)
    assert np.abs(tile.astype(int) - np.asarray(own)).max() <= 1


def test_a_small_image_is_padded_to_the_tile_by_its_mirror_image_and_stays_in_the_middle():
    image = photograph((2, 6))
    padded = pad_to_tile(image, Tiling((5, 4)))
    assert padded.shape == (5, 6, 3)
    assert np.array_equal(padded, image[[0, 0, 1, 1, 0]])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_constant_map_has_no_seams(shape: Size):
    found = blended(np.full((*shape, 3), 80, np.uint8), Tiling((64, 48)), brightness, sigma=4)
    assert found.shape == shape
    assert torch.allclose(found, torch.tensor(240 / 765), atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.6])
def test_a_map_that_no_cut_changes_is_blended_to_that_of_the_whole_image(
    shape: Size, overlap: float
):
    image = photograph(shape)
    found = blended(image, Tiling((64, 48), overlap), brightness, sigma=4)
    whole = ndimage.gaussian_filter(brightness(image).astype(np.float64), 4, mode="reflect")
    assert np.abs(found.numpy() - whole).max() < 1e-6


def test_tiles_that_disagree_are_joined_without_a_step():
    """Each tile says another number: from pixel to pixel the map still changes little."""
    tiling, image = Tiling((64, 64), 0.25), photograph((64, 208))

    def numbered(tiles: np.ndarray) -> np.ndarray:
        own = np.arange(len(tiles), dtype=np.float32) % 2
        return np.broadcast_to(own[:, None, None], tiles.shape[:3]).copy()

    found = blended(image, tiling, numbered)
    assert found.max() > 0.99 and found.min() < 0.01
    assert found.diff(dim=1).abs().max() < 0.15
    assert found.diff(dim=0).abs().max() < 1e-6


def test_the_order_of_tiles_does_not_matter():
    tiling, size = Tiling((32, 32)), (70, 90)
    places = tiling.places(size)
    maps = torch.rand(len(places), 1, 32, 32)
    forward, backward = TileBlend(tiling, size, CPU), TileBlend(tiling, size, CPU)
    forward.add(maps, places)
    backward.add(maps.flip(0), places[::-1])
    one, other = forward.finished(sigma=(2, 2)), backward.finished(sigma=(2, 2))
    assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("tile", [(64, 96), (4, 8)])
def test_maps_of_another_size_are_stretched_to_the_tile_as_maps_are_to_images(tile: Size):
    anomaly_map = torch.rand(1, 1, 8, 16)
    blend = TileBlend(Tiling(tile), tile, CPU)
    blend.add(anomaly_map, [(0, 0)])
    found = blend.finished(sigma=(0, 0))[0, 0].numpy()
    assert np.abs(found - stretched_map(anomaly_map[0, 0].numpy(), tile)).max() < 1e-5


def test_the_weights_of_a_tile_are_symmetric_and_nowhere_zero():
    for length in (1, 7, 256, 2048):
        weights = window(length)
        assert weights.min() > 0 and torch.allclose(weights, weights.flip(0), atol=1e-6)
        assert weights.argmax() in (length // 2, (length - 1) // 2)


@pytest.mark.parametrize("shape", [(64, 96), (5, 7), (31, 2)])
def test_a_map_of_any_size_is_blurred_as_scipy_and_the_network_do_it(shape: Size):
    values = torch.rand(1, 1, *shape)
    found = blur_map(values, (4, 2.5))[0, 0].numpy()
    reference = ndimage.gaussian_filter(values[0, 0].double().numpy(), (4, 2.5), mode="reflect")
    assert np.abs(found - reference).max() < 1e-6
    network = AnomalyMapGenerator(shape, 4)
    assert torch.allclose(blur_map(values, (4, 4)), network.blur(values), atol=1e-6)


def test_a_tiling_survives_being_plain_data():
    tiling = Tiling((256, 512), 0.3)
    assert Tiling.from_dict(json.loads(json.dumps(tiling.to_dict()))) == tiling
    with pytest.raises(ValueError, match="tiling is damaged"):
        Tiling.from_dict({"size": 3})


@pytest.mark.parametrize(
    ("size", "overlap", "message"),
    [
        ((0, 5), 0.25, r"tile is \[0, 5\]; expected \[height, width\]"),
        ((5,), 0.25, r"tile is \[5\]; expected \[height, width\]"),
        ((5, 5), 0.95, "tile_overlap is 0.95; allowed: 0 to 0.9"),
        ((5, 5), -0.1, "tile_overlap is -0.1; allowed"),
        ((5, 5), float("nan"), "tile_overlap is nan; allowed"),
    ],
)
def test_a_tiling_that_cannot_be_is_refused(size: tuple[int, ...], overlap: float, message: str):
    with pytest.raises(ValueError, match=message):
        Tiling.of(size, overlap)
    assert Tiling.of(None, overlap) is None


@pytest.fixture(scope="module")
def network() -> ReverseDistillationModel:
    torch.manual_seed(0)
    layers = ["layer1", "layer2"]
    return ReverseDistillationModel("resnet18", (64, 96), layers, "add", pre_trained=False).eval()


def test_an_image_of_one_tile_has_the_map_that_the_network_gives_it(
    network: ReverseDistillationModel,
):
    images = torch.randint(0, 256, (3, 3, 64, 96), dtype=torch.uint8)
    (whole,) = score(network, [{"images": images}])
    (tiled,) = score(network, [{"images": images}], tiling=Tiling((64, 96)))
    assert torch.allclose(tiled.maps, whole.maps, atol=1e-5)
    assert torch.allclose(tiled.scores, whole.scores, atol=1e-5)


def test_a_tile_twice_as_large_is_blurred_twice_as_wide(network: ReverseDistillationModel):
    """Where tiles are halved for the network, its map is doubled, and so is the blur."""
    tiling, large = Tiling((128, 192)), photograph((64, 96)).repeat(2, axis=0).repeat(2, axis=1)
    halved = cut(large, tiling, [(0, 0)], (64, 96))
    tiled, whole = (
        next(score(network, [{"images": torch.from_numpy(each).permute(0, 3, 1, 2)}], tiling=cuts))
        for each, cuts in ((large[None], tiling), (halved, None))
    )
    doubled = stretched_map(whole.maps[0, 0].numpy(), (128, 192))
    assert np.abs(tiled.maps[0, 0].numpy() - doubled).max() < 0.01 * doubled.max()


def test_the_network_sees_no_more_tiles_at_a_time_than_asked(network: ReverseDistillationModel):
    seen: list[int] = []
    hook = network.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    image = torch.zeros(1, 3, 80, 1000, dtype=torch.uint8)
    (scored,) = score(network, [{"images": image}], tiling=Tiling((64, 96)), tiles_at_once=5)
    hook.remove()
    assert max(seen) == 5
    assert sum(seen) == len(Tiling((64, 96)).places((80, 1000)))
    assert scored.maps.shape == (1, 1, 80, 1000)
    assert scored.scores[0] == scored.maps.max()
