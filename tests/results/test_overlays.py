"""Which overlays a run draws, and their names."""

from pathlib import Path

import numpy as np
from PIL import Image

from rdad.data.samples import Sample
from rdad.results.gathered import Gathered
from rdad.results.overlays import by_lot, draw_overlay, most_telling, overlay_names
from rdad.results.spool import Spool


def make(defect_type: str, name: str = "000") -> Sample:
    image = Path(f"{defect_type}/{name}.png")
    label = int(defect_type != "good")
    return Sample(image=image, label=label, defect_type=defect_type, mask=None, name=name)


def test_worst_false_alarm_and_worst_miss_come_first():
    samples = [make("good")] * 3 + [make("bent")] * 3
    scores = [0.1, 0.6, 0.2, 0.9, 0.3, 0.8]
    assert most_telling(samples, scores, limit=2) == [1, 4]


def test_best_of_each_type_come_second():
    samples = [make("good")] * 3 + [make("bent")] * 3
    scores = [0.1, 0.6, 0.2, 0.9, 0.3, 0.8]
    assert most_telling(samples, scores, limit=4) == [0, 1, 3, 4]


def test_an_eighth_of_them_is_the_same_whatever_the_scores():
    samples = [make("good", f"{number:03}") for number in range(400)]
    up, down = (
        set(most_telling(samples, scores, limit=96)) for scores in ([*range(400)], [0] * 400)
    )
    by_lots = {int(name[5:8]) for name in by_lot(overlay_names(samples))[:12]}
    assert len(up) == len(down) == 96
    assert up != down
    assert by_lots <= up & down


def test_each_defect_type_gets_its_turn_before_any_gets_a_second():
    samples = [make("bent")] * 50 + [make("good")] * 50 + [make("cut")] * 2
    chosen = most_telling(samples, list(range(102)), limit=3)
    assert chosen == [0, 99, 100]


def test_what_a_small_type_does_not_need_goes_to_the_others():
    samples = [make("bent")] * 10 + [make("cut")]
    assert len(most_telling(samples, [0.0] * 11, limit=8)) == 8


def test_choice_does_not_depend_on_chance_where_scores_are_equal():
    samples = [make("good")] * 5
    assert most_telling(samples, [1.0] * 5, limit=2) == [0, 4]


def test_every_image_is_chosen_once_without_a_limit_or_with_a_large_one():
    samples = [make("good")] * 4 + [make("bent")] * 3
    scores = [0.3, 0.1, 0.2, 0.4, 0.5, 0.6, 0.7]
    assert most_telling(samples, scores, limit=None) == list(range(7))
    assert most_telling(samples, scores, limit=7) == list(range(7))
    assert most_telling(samples, scores, limit=0) == []


def test_names_differ_also_where_letter_case_and_joints_do_not():
    samples = [make("a_b", "c"), make("a", "b_c"), make("A", "B_c"), make("a", "x/y")]
    assert overlay_names(samples) == ["a_b_c.png", "a_b_c_2.png", "A_B_c_3.png", "a_x_y.png"]


def test_long_names_are_cut_to_what_file_systems_take():
    names = overlay_names([make("缺陷" * 40, "a"), make("缺陷" * 40, "b")])
    assert len(set(names)) == 2
    assert all(len(name.encode()) <= 255 for name in names)


def test_drawn_overlay_is_a_picture_of_the_sample(tmp_path: Path):
    Image.new("RGB", (300, 300), (10, 200, 30)).save(tmp_path / "a.png")
    sample = Sample(image=tmp_path / "a.png", label=0, defect_type="good", mask=None, name="a")
    gathered, anomaly_map = Gathered(Spool(tmp_path)), np.eye(8, dtype=np.float32)
    gathered.add(sample, 1.0, anomaly_map)
    gathered.maps.append(anomaly_map)
    path = tmp_path / "overlays" / "good_a.png"
    draw_overlay(path, gathered, 0, category="part")
    with Image.open(path) as picture:
        assert picture.getpixel((5, 5)) == (10, 200, 30)
