"""Commands on a folder that somebody else wrote: one message, nothing run, nothing written."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import commands
import pytest
import torch
from intruder import Intruder
from trained_runs import make_trained_run

from rdad import load_config, load_run, run
from rdad.config.foreign import TRUSTED
from rdad.config.mistakes import ConfigError
from rdad.evaluate import main as evaluate
from rdad.experiment.resume import finished_before, replayed
from rdad.export.__main__ import COMMAND as EXPORT
from rdad.export.__main__ import export
from rdad.predict.__main__ import COMMAND as PREDICT
from rdad.predict.__main__ import predict
from rdad.register import main as register
from rdad.sweep.jobs import read_jobs
from rdad.upload import main as upload

SECRET = "known-to-nobody"
OWN_PARTS = Path(__file__).parents[2] / "examples" / "own_parts" / "conf"
CALL = "+callbacks.x={_target_: os.mkdir, path: ran}"
ALIASES = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", SECRET)
    monkeypatch.delenv(TRUSTED, raising=False)
    return tmp_path


@pytest.fixture
def foreign(place: Path) -> Path:
    return make_trained_run(place / "foreign")


def said_by_overrides(folder: Path, *texts: str) -> None:
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    (folder / ".hydra" / "overrides.yaml").write_text(json.dumps(texts))


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["run", "finished run", "sweep"])
def test_resuming_calls_nothing_that_the_folder_names(place: Path, kind: str) -> None:
    folder = make_trained_run(place / "foreign") if kind == "finished run" else place / "foreign"
    said_by_overrides(folder, "mode=add", CALL)
    given = {"hydra": {"overrides": {"task": ["mode=add", CALL], "hydra": []}}}
    (folder / "multirun.yaml").write_text(json.dumps(given))
    before = content(place)
    resume = f"resume{'_sweep' * (kind == 'sweep')}=foreign"
    done = commands.run("-m", "rdad.train", resume, folder=place)
    assert done.returncode == 1
    assert done.stderr.startswith("rdad.train: foreign/") and "Traceback" not in done.stderr
    assert "_target_: os.mkdir" in done.stderr and TRUSTED in done.stderr
    assert content(place) == before
    assert not (place / "ran").exists()


@pytest.mark.parametrize(
    "text", ["dataset.category=${oc.env:SECRET}", "hydra.run.dir=elsewhere", "backbone=evil", CALL]
)
@pytest.mark.parametrize("key", ["resume", "resume_sweep"])
def test_only_plain_values_of_what_is_offered_are_replayed(
    place: Path, key: str, text: str
) -> None:
    said_by_overrides(place / "foreign", text)
    given = {"hydra": {"overrides": {"task": [], "hydra": [text]}}}
    (place / "foreign" / "multirun.yaml").write_text(json.dumps(given))
    with pytest.raises(ConfigError, match=r"foreign/\S+: ") as refusal:
        replayed([f"{key}=foreign"])
    assert text in str(refusal.value) and SECRET not in str(refusal.value)


def test_what_is_said_again_is_the_word_of_the_day(place: Path) -> None:
    said_by_overrides(place / "own", "mode=add", CALL, "dataset.category=${oc.env:SECRET}")
    again = ["dataset.category=${oc.env:SECRET}", CALL]
    assert replayed(["resume=own", *again]) == [
        *("mode=add", "hydra.run.dir='own'", "resume=true"),
        *again,
    ]


@pytest.mark.parametrize(
    "where",
    [
        ["--config-dir", str(OWN_PARTS)],
        [f"--config-dir={OWN_PARTS}"],
        ["-cd", str(OWN_PARTS)],
        [f"hydra.searchpath=[file://{OWN_PARTS}]"],
    ],
    ids=lambda where: where[0].partition("=")[0],
)
def test_own_parts_are_replayed_with_the_config_dir_given_again(
    place: Path, where: list[str]
) -> None:
    own = ["experiment=own_parts", "callbacks.stop_when_flat.epochs=1", "loss=hardest_places"]
    said_by_overrides(place / "own", *own)
    with pytest.raises(ConfigError, match="with its --config-dir if it has one"):
        replayed(["resume=own"])
    assert replayed(["resume=own", *where])[:3] == own


@pytest.mark.parametrize(
    "text", ["just words", "hydra: 3", "hydra: {overrides: {task: 1}}", ALIASES]
)
def test_a_sweep_file_that_is_none_is_refused(place: Path, text: str) -> None:
    (place / "multirun.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"multirun\.yaml "):
        replayed(["resume_sweep=."])


def evaluated(folder: Path) -> int:
    return evaluate([str(folder), "output=out"])


def predicted(folder: Path) -> int:
    return PREDICT.main(predict, [str(folder), str(folder / "overlays"), "output=out"])


def exported(folder: Path) -> int:
    return EXPORT.main(export, [str(folder), "format=torch", "output=out"])


def uploaded(folder: Path) -> int:
    return upload([str(folder), "--uri=sqlite:///store.db"])


@pytest.mark.parametrize("command", [evaluated, predicted, exported, uploaded])
@pytest.mark.parametrize(
    "text",
    [
        "dataset: {_target_: rdad.data.textures, category: '${oc.env:SECRET}'}",
        "tracking: {log_model: '${oc.env:SECRET}'}",
        "seed: '${now:%Y}'",
        ALIASES,
    ],
)
def test_a_configuration_that_looks_something_up_or_grows_is_refused(
    foreign: Path,
    place: Path,
    command: Callable[[Path], int],
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (foreign / ".hydra" / "config.yaml").write_text(text)
    before = content(place)
    assert command(foreign) == 1
    said = capsys.readouterr().err
    assert "config.yaml" in said and "Traceback" not in said and SECRET not in said
    assert content(place) == before


@pytest.mark.parametrize("text", ["seed: 0", "dataset: 3", "dataset: {category: x}"])
def test_a_configuration_that_is_cut_off_before_its_images_is_refused(
    foreign: Path, place: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (foreign / ".hydra" / "config.yaml").write_text(text)
    assert evaluated(foreign) == 1
    assert re.search(r"name (them|images), as in dataset=|dataset is 3", capsys.readouterr().err)
    assert not (place / "out").exists()


def test_evaluating_calls_nothing_that_the_folder_names(
    foreign: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load_config("dataset=folder", "dataset.root=x", "dataset.normal=y", "tracking=off")
    config.dataset.normal = [{"_target_": "os.mkdir", "path": "ran"}]
    (foreign / ".hydra" / "config.yaml").write_text(json.dumps(_plain(config)))
    assert evaluated(foreign) == 1
    assert "would call rdad.data.folder, os.mkdir" in capsys.readouterr().err
    assert not (place / "ran").exists() and not (place / "out").exists()


def _plain(config: object) -> object:
    from omegaconf import OmegaConf

    return OmegaConf.to_container(config)  # type: ignore[arg-type]


def test_a_job_with_such_overrides_is_compared_as_failed(foreign: Path) -> None:
    (foreign / ".hydra" / "overrides.yaml").write_text(ALIASES)
    (job,) = read_jobs([foreign])
    assert job.status == "failed" and "has aliases" in job.reason


def test_a_run_that_refers_to_its_own_plain_values_is_opened(foreign: Path) -> None:
    (foreign / ".hydra" / "config.yaml").write_text("a: x\nb: ${a}_y\n")
    assert load_run(foreign).cfg.b == "x_y"


def test_a_checkpoint_with_code_is_not_gone_on_from(place: Path) -> None:
    said_by_overrides(place / "foreign")
    torch.save({"state_dict": Intruder(place / "ran")}, place / "foreign" / "checkpoint.ckpt")
    (place / "foreign" / "run.json").write_text('{"status": "interrupted"}')
    small = ("backbone=resnet18", "model.weights=null", "dataset.image_size=[32,32]")
    rest = ("trainer=cpu", "tracking=off", "reuse=false", "resume=true", "dataset.calibration=0")
    with pytest.raises(ValueError, match=r"checkpoint\.ckpt is no readable checkpoint"):
        run(load_config(*small, *rest), place / "foreign")
    assert not (place / "ran").exists()


READ_BY = {  # what of a folder a command must have
    "run.json": (
        *("evaluate", "predict", "export", "upload", "register", "resume", "run"),
        *("[]", '{"status": 5}', "{", '{"status": "finished", "params": []}'),
    ),
    "metrics.json": ("evaluate", "predict", "export", "[1]", '{"a": {}}', "nan,"),
    ".hydra/config.yaml": (
        *("evaluate", "predict", "export", "upload"),
        *("[]", "a: {b", "dataset: text", "a: &x 1\nb: *x", "? [1, 2]\n: 3"),
    ),
    ".hydra/overrides.yaml": ("resume in order", "a: 1", "[", "- 'x"),
}


def test_what_is_damaged_is_one_message_of_every_command(
    foreign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    callers: dict[str, Callable[[], object]] = {
        "evaluate": lambda: evaluate([str(foreign)]),
        "predict": lambda: PREDICT.main(predict, [str(foreign), "image.png"]),
        "export": lambda: EXPORT.main(export, [str(foreign)]),
        "upload": lambda: upload([str(foreign), "--uri", "sqlite:///other.db"]),
        "register": lambda: register([str(foreign), "name=x"]),
        "resume": lambda: replayed([f"resume={foreign}", "seed=1"]),
        "resume in order": lambda: replayed([f"resume={foreign}"]),
        "run": lambda: finished_before(load_config(), foreign),
    }
    said_by_overrides(foreign, "mode=add")
    for file, parts in READ_BY.items():
        path = foreign / file
        before = path.read_bytes()
        for damage in (part for part in parts if part not in callers):
            path.write_text(damage)
            for name in callers.keys() & set(parts):
                try:
                    assert callers[name]() == 1, (name, file, damage)
                    [message] = capsys.readouterr().err.splitlines()[-1:]
                except ValueError as error:
                    message = str(error)
                assert path.name in message, (name, file, damage, message)
        path.write_bytes(before)


def test_a_record_without_what_a_command_needs_is_named(
    foreign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (foreign / "run.json").write_text('{"status": "finished"}')
    assert evaluate([str(foreign)]) == upload([str(foreign)]) == 1
    assert capsys.readouterr().err.count("run.json lacks ") == 2
    with pytest.raises(ValueError, match="lacks params, which"):
        finished_before(load_config(), foreign)


def test_a_configuration_without_images_is_told_to_name_some(
    foreign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (foreign / ".hydra" / "config.yaml").write_text("seed: 0\n")
    assert evaluate([str(foreign)]) == 1
    assert "is not known; name them, as in dataset=" in capsys.readouterr().err
