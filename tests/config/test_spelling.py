"""Paths and names of the command line reach the configuration as they stand."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from rdad.config.compose import load_config
from rdad.config.mistakes import ConfigError
from rdad.config.spelling import NAMES, as_it_stands, spelled
from rdad.evaluate import COMMAND

NAMED = [
    *("~/photos", "/data/größe", "/data/写真", "photos (2)", "lot=7", "#3", "a'b", "c:\\x", "x: y"),
    *("7", "1_000", "1.50", "nan", "true", "-1", "{a}", "[", "a b", "plain", "/a/b-c_d.e"),
]


@pytest.mark.parametrize("name", NAMED)
def test_a_name_is_taken_as_it_stands(name: str) -> None:
    given = spelled(["dataset=folder", f"dataset.root={name}", f"dataset.normal={name}"])
    cfg = load_config(*given)
    assert (cfg.dataset.root, cfg.dataset.normal) == (name, name)
    listed = load_config(*spelled(["dataset=table", f"dataset.file={name}"]))
    assert listed.dataset.file == name
    if name != "[":  # begins a rectangle
        assert load_config(*spelled([f"dataset.ignore={name}"])).dataset.ignore == name


def test_every_key_of_names_is_there() -> None:
    keys = {key for key in NAMES if key.startswith("dataset.")}
    known = {key for name in ("folder", "table") for key in load_config(f"dataset={name}").dataset}
    assert {key.partition(".")[2] for key in keys} <= known


@pytest.mark.parametrize(
    "given",
    [
        *("dataset.category=null", "dataset.root=${oc.env:HOME}/x", "dataset.root='a, b'"),
        *("dataset.ignore=null", "dataset.ignore=[0.1,0,0.9,1]", "dataset.ignore=[0, 0, 90, 100]"),
        *(
            "dataset.normal=[a,b]",
            "dataset.root=a,b",
            "seed=1,2",
            "model.lr=tag(log,interval(1,2))",
        ),
        *("mode", "-m", "--config-dir", "x", "~callbacks", "hydra.run.dir=out/${now:%Y}", "+a.b=1"),
    ],
)
def test_what_hydra_reads_keeps_its_meaning(given: str) -> None:
    assert spelled([given]) == [given]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("dataset.normal=[1,größe, 'a b']", ["1", "größe", "a b"]),
        ("dataset.defects=[01,1.50]", ["01", "1.50"]),
    ],
)
def test_a_list_holds_names(given: str, found: list[str]) -> None:
    [one] = spelled([given])
    assert OverridesParser.create().parse_override(one).value() == found


@pytest.mark.parametrize("sweep", ["-m", "--multirun", "hydra.mode=MULTIRUN", "sweep=categories"])
def test_commas_part_the_names_of_a_sweep(sweep: str) -> None:
    [_, one] = spelled([sweep, "dataset.category=01,4711,größe,写真"])
    parsed = OverridesParser.create().parse_override(one)
    assert list(parsed.sweep_string_iterator()) == ["'01'", "'4711'", "'größe'", "'写真'"]


def test_another_key_is_told_with_quotes_to_copy() -> None:
    with pytest.raises(ConfigError, match=r"^compile=~x: .*stands in quotes: \"compile='~x'\"\)$"):
        spelled(["compile=~x"])


@pytest.mark.parametrize("name", ["~/photos", "größe (2)", "a,b", "4711"])
def test_what_a_run_is_scored_on_is_named_alike(name: str) -> None:
    parsed = OverridesParser.create().parse_override(as_it_stands(f"dataset.root={name}"))
    assert parsed.value() == name
    assert COMMAND.read(["run", f"weights={name}"])[1].weights == name


def test_overrides_come_last_wherever_an_option_stands() -> None:
    given = ["seed=1", "-m", "mode=add,multiply", "--config-dir", "a=b", "layers=layer1"]
    expected = ["-m", "--config-dir", "a=b", "seed=1", "mode=add,multiply", "layers=layer1"]
    assert spelled(given) == expected
