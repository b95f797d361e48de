"""`python -m rdad.evaluate`: a finished run scored again."""

import csv
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from omegaconf import OmegaConf
from PIL import Image

from rdad import load_config, load_run, run
from rdad.config.build import build_known
from rdad.config.mistakes import ConfigError
from rdad.detector.calibration import image_threshold
from rdad.evaluate import main
from rdad.experiment.rescore import _new_folder
from rdad.metrics import au_spro
from rdad.metrics.thresholds import Thresholds
from rdad.runs.files import read_metrics

TRAIN, NORMAL, DEFECTS = 40, 6, 3
SCORES_ALONE = ("artifacts.maps=false", "artifacts.overlays=0", "artifacts.report=false")
Evaluate = Callable[..., Path]


def draw_parts(root: Path, seed: int = 0) -> Path:
    """The category part in MVTec AD's layout: flat grey with noise, defects brighter squares."""
    random = np.random.default_rng(seed)

    def write(name: str, *, defect: bool = False) -> None:
        pixels = random.normal(120, 12, (64, 64, 3))
        pixels[20:36, 24:44] += 90 * defect
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / name)

    for index in range(TRAIN):
        write(f"part/train/good/{index:03}.png")
    for index in range(NORMAL):
        write(f"part/test/good/{index:03}.png")
    mask = np.zeros((64, 64), np.uint8)
    mask[20:36, 24:44] = 255
    for kind in ("spot", "stain"):
        for index in range(DEFECTS):
            write(f"part/test/{kind}/{index:03}.png", defect=True)
            place = root / f"part/ground_truth/{kind}/{index:03}_mask.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(place)
    return root


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small calibrated run on images of its own."""
    folder = tmp_path_factory.mktemp("evaluate")
    cfg = load_config(
        "backbone=resnet18",
        "model.pre_trained=false",
        "layers=layer1",
        "dataset=mvtec_ad",
        f"dataset.root={draw_parts(folder / 'data')}",
        "dataset.category=part",
        "dataset.image_size=[64,64]",
        "dataset.calibration=0.25",
        "trainer=cpu",
        "trainer.max_epochs=1",
        "tracking=off",
        "reuse=false",
    )
    return run(cfg, folder / "run").output_dir


@pytest.fixture
def evaluate(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Evaluate:
    """Evaluate the run, or another source, into a new folder."""

    def into(
        *options: str,
        source: Path = finished,
        name: str = "again",
        artifacts: tuple[str, ...] = SCORES_ALONE,
    ) -> Path:
        code = main([str(source), f"output={tmp_path / name}", *artifacts, *options])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        assert "test/image_auroc" in printed.out
        return tmp_path / name

    return into


@pytest.fixture
def refused(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """The one message with which options are refused."""

    def refuse(*options: str, source: Path = finished) -> str:
        assert main([str(source), f"output={tmp_path / 'refused'}", *options]) == 1
        return capsys.readouterr().err

    return refuse


def thresholds_in(folder: Path) -> Thresholds:
    return Thresholds.from_dict(json.loads((folder / "evaluation.json").read_text())["thresholds"])


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "scores.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def trained_on(finished: Path) -> Path:
    return finished.parent / "data"


def test_a_run_keeps_its_calibration(finished: Path) -> None:
    record, loaded = json.loads((finished / "run.json").read_text()), load_run(finished)
    assert record["images"] == {"train": 30, "calibration": 10, "test": 12}
    thresholds = loaded.thresholds
    assert thresholds == Thresholds.from_dict(record["thresholds"])
    assert thresholds is not None and not thresholds.guaranteed
    with (finished / "calibration.csv").open() as file:
        held = list(csv.DictReader(file))
    assert {Path(row["image"]).parent.name for row in held} == {"good"}
    assert sorted(float(row["score"]) for row in held) == list(thresholds.scores)
    assert len({row["image"] for row in held}) == 10
    found = image_threshold(thresholds.scores, 0.02)[0]
    assert thresholds.image == found


def test_verdicts_and_metrics_of_a_run_are_those_of_its_threshold(finished: Path) -> None:
    thresholds, metrics = load_run(finished).thresholds, read_metrics(finished)
    assert thresholds is not None
    scored = rows(finished)
    raw = np.array([float(row["score"]) for row in scored])
    labels = np.array([int(row["label"]) for row in scored])
    predicted = np.array([int(row["predicted"]) for row in scored])
    assert (predicted == (raw > thresholds.image.value)).all()
    normalised = [float(row["normalised_score"]) for row in scored]
    assert normalised == pytest.approx(thresholds.image.normalise(raw).tolist(), abs=1e-15)
    assert metrics["test/image_recall"] == predicted[labels == 1].mean()
    assert metrics["test/image_false_alarm_rate"] == predicted[labels == 0].mean()
    assert {"test/image_recall/spot", "test/image_recall/stain", "test/pixel_recall"} < set(metrics)


def test_images_of_12_bits_are_read_as_such_wherever_the_network_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    for name, count in (("good", 6), ("bad", 2)):
        (tmp_path / name).mkdir()
        for index in range(count):
            values = random.integers(0, 4096, (64, 64), np.uint16)
            Image.fromarray(values).save(tmp_path / name / f"{index}.png")
    cfg = load_config(
        *("backbone=resnet18", "model.pre_trained=false", "dataset=folder", "trainer=cpu"),
        *(f"dataset.root={tmp_path}", "dataset.normal=good", "dataset.defects=bad"),
        *("dataset.image_size=[64,64]", "trainer.max_epochs=1", "tracking=off", "reuse=false"),
    )
    folder = run(cfg, tmp_path / "run").output_dir
    assert json.loads((folder / "run.json").read_text())["bits"] == 12
    loaded = load_run(folder)
    assert loaded.trained.bits == 12
    found = {row["image"]: float(row["score"]) for row in rows(folder)}
    for image, score in found.items():
        assert loaded.predict(image).score == pytest.approx(score, rel=1e-5)
    Image.fromarray(np.full((64, 64), 65535, np.uint16)).save(tmp_path / "bad" / "other.png")
    monkeypatch.chdir(tmp_path)
    assert main(["run", "output=again", *SCORES_ALONE]) == 1  # it has more than 12
    (tmp_path / "bad" / "other.png").unlink()
    assert main(["run", "output=again", *SCORES_ALONE]) == 0
    assert {row["image"]: float(row["score"]) for row in rows(tmp_path / "again")} == found


def test_a_score_of_the_highest_pixels_has_thresholds_of_its_own(
    finished: Path, evaluate: Evaluate
) -> None:
    folder = evaluate("score_share=0.05", artifacts=("artifacts.overlays=0",))
    thresholds, highest = thresholds_in(folder), int(0.05 * 64 * 64)
    for row in rows(folder):
        found = tifffile.imread(
            folder
            / "anomaly_maps"
            / Path(row["image"]).relative_to(trained_on(finished)).with_suffix(".tiff")
        )
        assert float(row["score"]) == pytest.approx(np.sort(found.ravel())[-highest:].mean())
        assert int(row["predicted"]) == (float(row["score"]) > thresholds.image.value)
    own = load_run(finished).thresholds
    assert own is not None and len(thresholds.scores) == len(own.scores)
    assert all(new < old for new, old in zip(thresholds.scores, own.scores, strict=True))


def test_the_same_settings_give_the_same_results_to_the_last_bit(
    finished: Path, evaluate: Evaluate
) -> None:
    folder = evaluate(artifacts=())
    for name in ("scores.csv", "metrics.json", "curves/roc.csv", "curves/pro.csv"):
        assert (folder / name).read_bytes() == (finished / name).read_bytes(), name
    maps = sorted(path.relative_to(finished) for path in finished.glob("anomaly_maps/**/*.tiff"))
    assert len(maps) == 12
    assert all((folder / name).read_bytes() == (finished / name).read_bytes() for name in maps)
    assert len(list((folder / "overlays").iterdir())) == 12
    assert (folder / "report.html").is_file()
    assert thresholds_in(folder) == load_run(finished).thresholds


def test_the_default_place_is_a_new_folder_in_the_runs_own(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    assert [main([str(finished), *SCORES_ALONE]) for _ in range(2)] == [0, 0]
    made = sorted((finished / "evaluations").iterdir())
    assert len(made) == 2
    assert not (made[0] / "anomaly_maps").exists() and not (made[0] / "report.html").exists()
    assert f"evaluation  {made[-1]}" in capsys.readouterr().out
    assert before == {path: path.read_bytes() for path in before}
    shutil.rmtree(finished / "evaluations")


def test_a_folder_that_another_evaluation_filled_meanwhile_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").touch()
    with pytest.raises(ConfigError, match="is there already"):
        _new_folder(str(tmp_path), None)


def test_another_mode_and_blur_are_scored_and_calibrated_anew(
    finished: Path, evaluate: Evaluate
) -> None:
    folder = evaluate("mode=multiply", "sigma=2")
    loaded = load_run(finished)
    images = [Image.open(row["image"]) for row in rows(folder)]
    pixels = torch.from_numpy(np.stack([np.asarray(one) for one in images])).permute(0, 3, 1, 2)
    generator = type(loaded.model.anomaly_map)((64, 64), sigma=2, mode="multiply")
    with torch.inference_mode():
        features = loaded.model.encode(pixels)
        maps = generator(loaded.model.decode(features), features)
    expected = maps.amax((1, 2, 3)).tolist()
    assert [float(row["score"]) for row in rows(folder)] == pytest.approx(expected, rel=1e-4)
    thresholds = thresholds_in(folder)
    assert thresholds.images == 10
    assert thresholds.image != loaded.thresholds.image  # type: ignore[union-attr]
    assert (folder / "calibration.csv").is_file()
    settings = json.loads((folder / "evaluation.json").read_text())["settings"]
    assert (settings["mode"], settings["sigma"]) == ("multiply", 2.0)


def test_another_image_rate_needs_no_images(finished: Path, evaluate: Evaluate) -> None:
    stored = load_run(finished).thresholds
    assert stored is not None
    folder = evaluate("thresholds.image_rate=0.2")
    thresholds = thresholds_in(folder)
    assert thresholds.image == image_threshold(stored.scores, 0.2)[0]
    assert thresholds.guaranteed and thresholds.pixel == stored.pixel
    assert not (folder / "calibration.csv").exists()


def test_another_pixel_rate_is_found_on_the_calibration_images(
    finished: Path, evaluate: Evaluate
) -> None:
    stored = load_run(finished).thresholds
    thresholds = thresholds_in(evaluate("thresholds.pixel_rate=0.05"))
    assert stored is not None and thresholds.pixel.value < stored.pixel.value
    assert thresholds.image == stored.image


def test_a_given_threshold_is_a_raw_score(evaluate: Evaluate) -> None:
    first = rows(evaluate(name="first"))
    scores = sorted({float(row["score"]) for row in first})
    folder = evaluate(f"threshold={scores[-2]}", artifacts=("artifacts.overlays=0",))
    assert [int(row["predicted"]) for row in rows(folder)].count(1) == 1
    thresholds = thresholds_in(folder)
    assert (thresholds.image_rate, thresholds.pixel_rate) == (None, 0.001)
    assert "given" in str(thresholds)


def test_images_that_moved_are_still_the_runs(
    finished: Path, evaluate: Evaluate, tmp_path: Path
) -> None:
    shutil.copytree(trained_on(finished), tmp_path / "moved")
    folder = evaluate(f"dataset.root={tmp_path / 'moved'}", "mode=multiply")
    assert thresholds_in(folder).images == 10
    record = json.loads((folder / "evaluation.json").read_text())
    assert record["dataset"]["root"] == str(tmp_path / "moved")


def test_other_images_are_judged_by_the_runs_thresholds(
    finished: Path, evaluate: Evaluate, tmp_path: Path
) -> None:
    root = draw_parts(tmp_path / "other", seed=9)
    folder = evaluate(
        *("dataset=folder", f"dataset.root={root}/part", "dataset.normal=train/good"),
        *("dataset.normal_test=test/good", "dataset.defects=test", "dataset.masks=ground_truth"),
    )
    assert thresholds_in(folder) == load_run(finished).thresholds
    assert all(Path(row["image"]).is_relative_to(root) for row in rows(folder))


def test_a_run_on_folders_is_scored_on_a_data_set_of_another_layout(
    finished: Path, evaluate: Evaluate, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    config = tmp_path / "run" / ".hydra" / "config.yaml"
    cfg = OmegaConf.load(config)
    own = ("dataset=folder", f"dataset.root={trained_on(finished)}/part", "dataset.normal=train")
    cfg.dataset = load_config(*own, "dataset.image_size=[64,64]", "dataset.batch_size=5").dataset
    OmegaConf.save(cfg, config)
    named = ("dataset=mvtec_ad", f"dataset.root={trained_on(finished)}", "dataset.category=part")
    folder = evaluate(*named, source=tmp_path / "run")
    record = json.loads((folder / "evaluation.json").read_text())
    assert record["dataset"]["batch_size"] == 5
    assert (folder / "scores.csv").read_bytes() == (finished / "scores.csv").read_bytes()


def test_images_that_are_gone_are_downloaded_only_if_that_is_asked_for_again(
    finished: Path,
    evaluate: Evaluate,
    refused: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    config = tmp_path / "run" / ".hydra" / "config.yaml"
    cfg = OmegaConf.load(config)
    cfg.dataset.root, cfg.dataset.download = str(tmp_path / "gone"), True
    OmegaConf.save(cfg, config)
    fetched: list[str] = []

    def fetch(name: str, folder: Path, *, accept: bool) -> None:
        fetched.append(name)
        shutil.copytree(trained_on(finished), folder)

    monkeypatch.setattr("rdad.data.download.download", fetch)
    assert "gone does not exist" in refused(source=tmp_path / "run")
    with pytest.raises(FileNotFoundError, match="gone does not exist"):
        build_known(load_run(tmp_path / "run").cfg.dataset).prepare()
    assert not fetched
    again = evaluate("dataset.download=true", source=tmp_path / "run")
    assert fetched == ["mvtec_ad"]
    assert thresholds_in(again) == load_run(finished).thresholds


def test_thresholds_do_not_carry_over_to_other_images_in_another_mode(
    evaluate: Evaluate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = draw_parts(tmp_path / "other", seed=9)
    folder = evaluate(f"dataset.root={root}", "mode=multiply")
    assert json.loads((folder / "evaluation.json").read_text())["thresholds"] is None
    assert "do not carry over" in caplog.text
    assert "test/image_recall" not in read_metrics(folder)
    assert {row["predicted"] for row in rows(folder)} == {""}


def test_normal_images_of_other_data_give_thresholds_where_that_is_asked_for(
    finished: Path, evaluate: Evaluate, tmp_path: Path
) -> None:
    root = draw_parts(tmp_path / "other", seed=9)
    named = ("dataset=mvtec_ad", f"dataset.root={root}", "dataset.category=part")
    folder = evaluate(*named, "dataset.calibration=0.5", "thresholds.image_rate=0.1")
    thresholds = thresholds_in(folder)
    assert (thresholds.images, thresholds.guaranteed) == (20, True)
    assert thresholds.image != load_run(finished).thresholds.image  # type: ignore[union-attr]
    with (folder / "calibration.csv").open() as file:
        assert all(Path(row["image"]).is_relative_to(root) for row in csv.DictReader(file))


def test_a_model_file_alone_needs_its_images_named(
    finished: Path, evaluate: Evaluate, refused: Callable[..., str], tmp_path: Path
) -> None:
    shutil.copy(finished / "model.pt", tmp_path / "model.pt")
    assert "name them, as in dataset=mvtec_ad" in refused(source=tmp_path / "model.pt")
    named = ("dataset=mvtec_ad", f"dataset.root={trained_on(finished)}", "dataset.category=part")
    folder = evaluate(*named, source=tmp_path / "model.pt")
    assert (folder / "scores.csv").read_bytes() == (finished / "scores.csv").read_bytes()


def test_the_runs_own_images_keep_their_split_however_they_are_named(
    finished: Path, evaluate: Evaluate, refused: Callable[..., str]
) -> None:
    own = ("dataset=mvtec_ad", f"dataset.root={trained_on(finished)}/.", "dataset.category=part")
    assert "decides which of the run's images" in refused(*own, "dataset.calibration=0.5")
    again, before = thresholds_in(evaluate(*own)), load_run(finished).thresholds
    assert before is not None
    assert again.scores == before.scores


def test_a_run_in_bf16_is_scored_and_predicts_in_bf16(
    finished: Path, evaluate: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rdad.detector.trained_model.has_bf16", lambda device: True)
    cfg = load_run(finished).cfg.copy()
    cfg.trainer.precision, cfg.model.layers = "bf16-mixed", ["layer1"]  # many processors lack it
    folder = run(cfg, tmp_path / "in bf16").output_dir
    shutil.copy(folder / "model.pt", tmp_path / "model.pt")
    named = ("dataset=mvtec_ad", f"dataset.root={trained_on(finished)}", "dataset.category=part")
    again = evaluate(*named, source=tmp_path / "model.pt")
    assert (again / "scores.csv").read_bytes() == (folder / "scores.csv").read_bytes()
    images = [trained_on(finished) / row["image"] for row in rows(folder)]
    predicted = [one.score for one in load_run(folder).trained.predict_batch(images)]
    assert predicted == [float(row["score"]) for row in rows(folder)]


def test_a_checkpoint_of_the_authors_is_scored_once_its_backbone_is_named(
    finished: Path,
    evaluate: Evaluate,
    refused: Callable[..., str],
    assets: Path,
    resnet18_weights: Path,
) -> None:
    checkpoint = assets / "reference" / "rd4ad_resnet18.pt"
    named = ("dataset=mvtec_ad", f"dataset.root={trained_on(finished)}", "dataset.category=part")
    assert "backbone=" in refused(*named, source=checkpoint)
    network = ("backbone=resnet18", f"weights={resnet18_weights}", "image_size=[64,64]")
    folder = evaluate(*named, *network, "dataset.calibration=0.5", source=checkpoint)
    assert read_metrics(folder)["test/image_auroc"] == 1
    assert thresholds_in(folder).images == 20


def test_a_run_without_calibration_says_what_is_missing(
    finished: Path, evaluate: Evaluate, refused: Callable[..., str], tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "old")
    content: dict[str, Any] = torch.load(finished / "model.pt", weights_only=True)
    torch.save(content | {"thresholds": None}, tmp_path / "old/model.pt")
    other = draw_parts(tmp_path / "other", seed=9)
    options = (f"dataset.root={other}", "thresholds.image_rate=0.1")
    said = refused(*options, source=tmp_path / "old")
    assert "thresholds.image_rate needs normal images that were not trained on" in said
    assert main([str(tmp_path / "old"), *options]) == 1
    assert not (tmp_path / "old" / "evaluations").exists()
    folder = evaluate(f"dataset.root={other}", "threshold=0.5", source=tmp_path / "old")
    assert thresholds_in(folder).pixel.value == 0.5


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("mode=subtract", "must be one of add, multiply; found 'subtract'"),
        ("sigma=-1", "model.sigma must be in"),
        ("threshold=0", "threshold must be above 0"),
        ("thresholds.image_rate=2", "image_rate must be above 0 and below 1; found 2.0"),
        ("thresholds.pixel_rate=0", "pixel_rate must be above 0 and below 1; found 0.0"),
        ("dataset.calibration=0.5", "decides which of the run's images were trained on"),
        ("dataset.split_seed=5", "decides which of the run's images were trained on"),
        ("dataset.image_size=[32,32]", "this network works at [64, 64]"),
        ("dataset.rot=x", "found 'rot'"),
        ("dataset.root=/nowhere", "/nowhere does not exist"),
        ("evaluation.aupro=mine", "dataset, per_image"),
        ("backbone=resnet18", "backbone can be named for a checkpoint"),
        ("nonsense=1", "nonsense"),
    ],
)
def test_what_cannot_be_is_refused_in_one_message(
    option: str, said: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    message = refused(option)
    assert said in message
    assert "Traceback" not in message
    assert not (tmp_path / "refused" / "metrics.json").exists()


def test_results_are_not_written_over(
    finished: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = (finished / "metrics.json").read_bytes()
    assert main([str(finished), f"output={finished}"]) == 1
    assert "is there already; name a folder that is new or empty" in capsys.readouterr().err
    assert (finished / "metrics.json").read_bytes() == before


def test_a_threshold_that_is_kept_is_the_runs_from_then_on(
    finished: Path, evaluate: Evaluate, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    scores = sorted(float(row["score"]) for row in rows(finished))
    chosen = f"threshold={scores[-2]}"
    options = {"source": tmp_path / "run", "artifacts": ("artifacts.overlays=0",)}
    first = evaluate(chosen, "keep=true", name="first", **options)
    kept = load_run(tmp_path / "run")
    assert kept.thresholds == thresholds_in(first)
    assert kept.record["thresholds"] == kept.thresholds.to_dict()  # type: ignore[union-attr]
    assert kept.thresholds != load_run(finished).thresholds
    assert kept.metrics == read_metrics(finished)
    again = evaluate(name="again", **options)
    assert rows(again) == rows(first)
    back = evaluate("thresholds.image_rate=0.02", name="back", **options)
    assert thresholds_in(back) == load_run(finished).thresholds


@pytest.mark.parametrize(
    ("options", "of_the_run", "said"),
    [
        (["keep=true", "sigma=1"], True, "whose mode, blur, score, tile and mask stay its own"),
        (["keep=true", "dataset=mvtec_ad"], False, "keep=true stores thresholds in a run folder"),
    ],
)
def test_thresholds_are_kept_only_where_they_hold(
    options: list[str],
    of_the_run: bool,
    said: str,
    finished: Path,
    refused: Callable[..., str],
) -> None:
    data = [f"dataset.root={trained_on(finished)}", "dataset.category=part"]
    source = finished if of_the_run else finished / "model.pt"
    before = (finished / "model.pt").read_bytes()
    assert said in refused(*options, *([] if of_the_run else data), source=source)
    assert (finished / "model.pt").read_bytes() == before


def test_an_image_threshold_and_a_rate_exclude_each_other(refused: Callable[..., str]) -> None:
    assert "exclude each other" in refused("threshold=0.3", "thresholds.image_rate=0.1")


def test_a_few_calibration_images_are_said_to_be_few(
    finished: Path, caplog: pytest.LogCaptureFixture, evaluate: Evaluate
) -> None:
    caplog.set_level(logging.WARNING)
    evaluate("thresholds.pixel_rate=0.01")
    assert "10 calibration images are too few to guarantee 2 % false alarms (49" in caplog.text
    assert "thresholds.image_rate=0.091 is kept with 10" in caplog.text


def test_groups_and_saturated_overlap_are_those_of_the_scores_and_maps_that_are_written(
    evaluate: Evaluate, tmp_path: Path
) -> None:
    data = draw_parts(tmp_path / "data")
    entry = {"pixel_value": 255, "saturation_threshold": 30, "relative_saturation": False}
    (data / "part" / "defects_config.json").write_text(json.dumps([entry]))
    options = (f"dataset.root={data}", "evaluation.groups=types", "evaluation.spro_limit=0.2")
    folder = evaluate(*options, artifacts=("artifacts.overlays=0", "artifacts.report=false"))
    found = read_metrics(folder)
    aurocs = [found[f"test/image_auroc/{kind}"] for kind in ("spot", "stain")]
    assert found["test/image_auroc_group_mean"] == pytest.approx(sum(aurocs) / 2)
    maps = folder / "anomaly_maps" / "part" / "test"
    for kind in ("spot", "stain"):
        files = sorted([*(maps / "good").glob("*.tiff"), *(maps / kind).glob("*.tiff")])
        masks = [data / "part/ground_truth" / kind / f"{one.stem}_mask.png" for one in files]
        regions = [
            [(np.asarray(Image.open(mask)) > 0, 30)] if one.parent.name == kind else []
            for one, mask in zip(files, masks, strict=True)
        ]
        expected = au_spro([tifffile.imread(one) for one in files], regions, fpr_limit=0.2)
        assert found[f"test/au_spro/{kind}"] == pytest.approx(expected, abs=1e-12)
        assert 0 < expected < 1


def test_a_group_of_defect_types_that_are_not_there_is_refused(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    said = refused("evaluation.groups={logical:[missing]}")
    assert "evaluation.groups: the group logical has missing" in said and "spot, stain" in said
    assert not (tmp_path / "refused").exists()
