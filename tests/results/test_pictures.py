"""Pictures of anomaly maps, checked by their pixels."""

import numpy as np
import pytest
from PIL import Image

from rdad.results.pictures import (
    CAPTION_PX,
    GAP_PX,
    LINE_PX,
    PREDICTED_COLOUR,
    TRUE_COLOUR,
    heat_map,
    overlay,
)

GREY = np.full((300, 200, 3), 128, dtype=np.uint8)
FLAT = np.zeros((64, 64), dtype=np.float32)


def panels(sheet: Image.Image, count: int) -> list[np.ndarray]:
    pixels = np.asarray(sheet)[:-CAPTION_PX].astype(int)
    width = (sheet.width - GAP_PX * (count - 1)) // count
    return [pixels[:, k * (width + GAP_PX) :][:, :width] for k in range(count)]


def test_heat_map_gets_lighter_all_the_way_from_low_to_high():
    colours = heat_map(np.linspace(-1, 3, 200)[None].astype(np.float32), -1.0, 3.0)
    lightness = np.asarray(Image.fromarray(colours).convert("L"))[0].astype(int)
    assert colours.shape == (1, 200, 3) and colours.dtype == np.uint8
    assert (np.diff(lightness) >= -1).all()
    assert lightness[0] < 5 and lightness[-1] > 230


def test_heat_map_clips_what_lies_beyond_the_limits():
    beyond = heat_map(np.array([[-9.0, 0.0, 1.0, 9.0]]), 0.0, 1.0)
    assert (beyond[0, 0] == beyond[0, 1]).all()
    assert (beyond[0, 2] == beyond[0, 3]).all()


@pytest.mark.parametrize("limits", [(2.0, 2.0), (np.inf, -np.inf), (np.nan, np.nan)])
def test_heat_map_without_a_range_is_the_lowest_colour(limits: tuple[float, float]):
    lowest = heat_map(np.zeros((2, 2)), 0.0, 1.0)
    assert (heat_map(np.full((2, 2), 2.0), *limits) == lowest).all()


def test_heat_map_shows_what_is_not_a_number_as_lowest():
    colours = heat_map(np.array([[np.nan, 0.0]]), 0.0, 1.0)
    assert (colours[0, 0] == colours[0, 1]).all()


def test_overlay_shows_image_outline_and_heat_side_by_side():
    mask = np.zeros((300, 200), dtype=bool)
    mask[100:200, 50:150] = True
    sheet = overlay(GREY, FLAT, mask, 0.0, 1.0)
    assert sheet.size == (3 * 200 + 2 * GAP_PX, 300 + CAPTION_PX)
    plain, outlined, heated = panels(sheet, 3)
    assert (plain == 128).all()
    assert (heated < 128).all()
    changed = (outlined != plain).any(axis=2)
    assert not changed[105:195, 55:145].any(), "the outline covers the defect"
    assert not changed[:90].any() and not changed[:, :40].any()
    assert changed[97:100, 60:140].any(axis=0).all(), "the outline has a gap"


@pytest.mark.parametrize("ground", [(0, 0, 0), (255, 255, 255), TRUE_COLOUR])
def test_outline_stands_out_from_any_ground(ground: tuple[int, int, int]):
    image = np.full((300, 300, 3), ground, dtype=np.uint8)
    mask = np.zeros((300, 300), dtype=bool)
    mask[100:200, 100:200] = True
    outlined = panels(overlay(image, FLAT, mask, 0.0, 1.0), 3)[1]
    assert np.abs(outlined - ground).max() >= 190


def test_outline_shows_a_defect_of_one_pixel_in_a_large_image():
    image = np.zeros((2000, 2000, 3), dtype=np.uint8)
    mask = np.zeros((2000, 2000), dtype=bool)
    mask[1203, 801] = True
    outlined = panels(overlay(image, FLAT, mask, 0.0, 1.0), 3)[1]
    rows, columns = np.nonzero(outlined.any(axis=2))
    assert abs(rows.mean() - 1203 * 384 / 2000) < 2
    assert abs(columns.mean() - 801 * 384 / 2000) < 2


def test_empty_mask_draws_no_outline():
    plain, outlined, _ = panels(overlay(GREY, FLAT, np.zeros((300, 200)), 0.0, 1.0), 3)
    assert (plain == outlined).all()


def test_mask_over_the_whole_image_changes_no_pixel_far_from_the_border():
    _, outlined, _ = panels(overlay(GREY, FLAT, np.ones((300, 200)), 0.0, 1.0), 3)
    assert (outlined[5:-5, 5:-5] == 128).all()


def test_true_and_predicted_regions_are_outlined_and_named_in_colours_of_their_own():
    mask, hot = np.zeros((300, 300), bool), np.zeros((300, 300), np.float32)
    mask[100:140, 50:90], hot[200:260, 180:240] = True, 1.0
    image = np.full((300, 300, 3), 128, np.uint8)
    sheet = overlay(image, hot, mask, 0.0, 1.0, threshold=0.5)
    outlined = panels(sheet, 3)[1]
    for colour, rows, columns in (
        (TRUE_COLOUR, (98, 141), (48, 91)),
        (PREDICTED_COLOUR, (198, 261), (178, 241)),
    ):
        found = np.argwhere((outlined == colour).all(axis=2))
        np.testing.assert_allclose(found.min(0), (rows[0], columns[0]), atol=1)
        np.testing.assert_allclose(found.max(0), (rows[1], columns[1]), atol=1)
        legend = np.asarray(sheet)[-LINE_PX:, :300]
        assert (legend == colour).all(axis=2).any()
    without = np.asarray(overlay(image, hot, mask, 0.0, 1.0))
    assert not (without == PREDICTED_COLOUR).all(axis=2).any()


def test_scale_is_marked_where_the_predicted_region_begins():
    places = []
    for threshold in (0.25, 0.75, 7.0):
        sheet = overlay(GREY, FLAT, None, 0.0, 1.0, threshold=threshold)
        scale = np.asarray(sheet)[-LINE_PX:, 400:]
        places.append(np.argwhere((scale == PREDICTED_COLOUR).all(axis=2))[:, 1])
    assert np.mean(places[1]) - np.mean(places[0]) == pytest.approx(110 / 2, abs=1)
    assert places[2].size == 0, "a threshold beyond the scale is marked"


def test_overlay_without_mask_has_two_panels():
    sheet = overlay(np.zeros((300, 300, 3), np.uint8), FLAT, None, 0.0, 1.0)
    assert sheet.size == (2 * 300 + GAP_PX, 300 + CAPTION_PX)


def test_hot_place_of_a_map_is_at_the_same_place_of_the_image():
    hot = FLAT.copy()
    hot[16:20, 40:44] = 1.0
    heated = panels(overlay(np.zeros((256, 320, 3), np.uint8), hot, None, 0.0, 1.0), 2)[1]
    row, column = np.unravel_index(heated.sum(axis=2).argmax(), heated.shape[:2])
    assert 16 * 4 <= row <= 20 * 4
    assert 40 * 5 <= column <= 44 * 5


@pytest.mark.parametrize("shape", [(1, 1), (2, 3000), (3000, 2), (5, 4), (1024, 700)])
def test_overlay_bounds_its_size_for_any_image(shape: tuple[int, int]):
    sheet = overlay(np.zeros((*shape, 3), np.uint8), FLAT, np.ones(shape), 0.0, 1.0, title="a")
    assert sheet.width <= 3 * 384 + 2 * GAP_PX
    assert sheet.height <= 384 + CAPTION_PX


def test_text_however_long_covers_no_legend_and_no_scale():
    short = np.asarray(overlay(GREY, FLAT, None, 0.0, 1.0, title="x", caption="y"))
    long = np.asarray(overlay(GREY, FLAT, None, 0.0, 1.0, title="x" * 500, caption="y" * 500))
    assert (short[-LINE_PX:] == long[-LINE_PX:]).all()
    assert (short[-CAPTION_PX:-LINE_PX] != long[-CAPTION_PX:-LINE_PX]).any()


def test_long_title_leaves_room_for_the_score():
    without = np.asarray(overlay(GREY, FLAT, None, 0.0, 1.0, title="x" * 500))
    scored = np.asarray(overlay(GREY, FLAT, None, 0.0, 1.0, title="x" * 500, caption="score 0.5"))
    other = np.asarray(overlay(GREY, FLAT, None, 0.0, 1.0, title="x" * 500, caption="score 0.6"))
    assert (scored != without).any()
    assert (scored != other).any()


def test_letters_beyond_ascii_are_drawn_and_not_replaced_by_boxes():
    letters = [overlay(GREY, FLAT, None, 0.0, 1.0, title=letter) for letter in ("ß", "Ω", "é")]
    drawn = {sheet.crop((0, 300, 100, 330)).tobytes() for sheet in letters}
    assert len(drawn) == 3
