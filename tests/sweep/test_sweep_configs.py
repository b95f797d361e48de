"""Each file of conf/sweep and conf/hydra composes, into the jobs that it promises."""

from itertools import product
from pathlib import Path

import commands
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, read_write

from rdad.config.compose import CONF_DIR, load_config
from rdad.sweep.categories import with_categories
from rdad.sweep.plan import JobFolders, overrides

SWEEPS = {
    **{"mode": 2, "backbone_mode": 4, "layers": 7, "categories": 3, "benchmark": 3, "seeds": 3},
    "ablation": 24,
}


def composed(*words: str) -> DictConfig:
    """What Hydra's multirun composes of a command line, with the node `hydra`."""
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        cfg = compose("train", list(words), return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    return cfg


def named_jobs(cfg: DictConfig) -> list[list[str]]:
    """Hydra's grid over the named sweep, the command line winning."""
    varied = [
        [f"{one.get_key_element()}={value}" for value in one.sweep_string_iterator()]
        for one in overrides(cfg).values()
        if one.is_sweep_override()
    ]
    return [list(job) for job in product(*varied)]


def test_every_named_sweep_is_tested() -> None:
    assert {path.stem for path in (CONF_DIR / "sweep").glob("*.yaml")} == {*SWEEPS, "optuna"}


@pytest.mark.parametrize(("name", "count"), SWEEPS.items())
def test_a_named_sweep_is_jobs_that_compose_and_differ(name: str, count: int) -> None:
    cfg = composed(f"sweep={name}")
    with read_write(cfg.hydra):
        cfg.hydra.overrides.task = with_categories([f"sweep={name}"])[1:]
    assert cfg.hydra.mode.name == "MULTIRUN"
    configs = {OmegaConf.to_yaml(load_config(*job)) for job in named_jobs(cfg)}
    assert len(configs) == count


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_changes_nothing_but_what_it_varies(name: str) -> None:
    changed = {"benchmark": ["dataset.calibration=0"]}.get(name, [])
    assert load_config(f"sweep={name}") == load_config(*changed)


def test_every_job_of_the_ablation_is_short_and_small_and_a_score_costs_no_training() -> None:
    cfg = composed("sweep=ablation")
    fixed = [one for one in overrides(cfg).values() if not one.is_sweep_override()]
    said = [f"{one.get_key_element()}={one.get_value_element_as_str()}" for one in fixed]
    assert {"dataset.image_size=[128,128]", "trainer.max_epochs=60"} <= set(said)
    trainings = [job[1:] for job in named_jobs(cfg)]
    assert trainings[:12] == trainings[12:]


def test_a_named_sweep_is_narrowed_on_the_command_line() -> None:
    cfg = composed("sweep=backbone_mode", "mode=add")
    assert named_jobs(cfg) == [["backbone=resnet18"], ["backbone=efficientnet_lite0"]]


def test_both_trainings_of_backbone_mode_come_first() -> None:
    backbones = [job[1] for job in named_jobs(composed("sweep=backbone_mode"))]
    assert len(set(backbones[:2])) == 2


def test_the_search_spans_what_it_names() -> None:
    pytest.importorskip("optuna", reason="needs the extra `optuna`")
    from rdad.sweep.search.space import search_space

    cfg = composed("sweep=optuna")
    assert cfg.hydra.sweeper._target_ == "hydra_plugins.rdad.optuna_sweeper.OptunaSweeper"
    space = search_space(list(overrides(cfg).values()))
    assert set(space.distributions) == {"backbone", "layers", "model.lr", "trainer.max_epochs"}
    for job in space.samples():
        load_config(*job)


@pytest.mark.parametrize("launcher", ["parallel", "slurm", "slurm_local", "ray_cluster"])
def test_launchers_compose_whether_or_not_they_are_installed(launcher: str) -> None:
    cfg = composed(f"hydra/launcher={launcher}")
    node = OmegaConf.to_container(cfg.hydra.launcher, resolve=True)
    assert isinstance(node, dict)
    assert str(node["_target_"]).startswith("hydra_plugins.rdad.")


def test_a_search_asks_for_as_many_trials_as_the_launcher_runs() -> None:
    assert composed("sweep=optuna").hydra.sweeper.n_jobs == 1
    wide = composed("sweep=optuna", "hydra/launcher=parallel", "hydra.launcher.n_jobs=3")
    assert wide.hydra.sweeper.n_jobs == 3


@pytest.mark.parametrize(
    ("params", "words", "left_out"),
    [
        ({}, ["mode=add,multiply", "dataset.root=data", "+seed=1"], ["dataset.root", "seed"]),
        ({"seed": "1,2"}, ["sweep=seeds"], ["sweep"]),
        ({"seed": "1,2"}, ["sweep=seeds", "seed=1"], ["seed", "sweep"]),
        ({}, ["mode=add,multiply", "model.weights=a/b.pth,c/d.pth"], ["model.weights"]),
        ({"model.lr": "interval(0.1, 0.2)"}, ["mode=glob(*)"], []),
        ({}, ["seed=1,2", "dataset.image_size=[64,64],[96,96]"], ["dataset.image_size"]),
    ],
)
def test_what_does_not_vary_or_is_no_plain_word_names_no_folder(
    params: dict[str, str], words: list[str], left_out: list[str]
) -> None:
    overridden = {"task": words, "hydra": []}
    cfg = OmegaConf.create({"hydra": {"sweeper": {"params": params}, "overrides": overridden}})
    JobFolders().on_multirun_start(cfg)
    (told,) = OverridesParser.create().parse_overrides(cfg.hydra.overrides.hydra)
    assert told.key_or_group == "hydra.job.config.override_dirname.exclude_keys"
    assert told.value() == sorted([*left_out, "resume"])


def test_the_folders_of_a_real_sweep_can_be_given_back(tmp_path: Path) -> None:
    command = [
        *("sweep=backbone_mode", "hydra.sweep.dir=s", "tracking=off"),
        *("dataset=mvtec_ad", "dataset.root=no/where", "dataset.category=x"),
    ]
    done = commands.run("-m", "rdad.train", *command, folder=tmp_path)
    assert done.returncode == 1
    names = sorted(path.name for path in (tmp_path / "s").glob("[0-9]*"))
    assert names == [
        "0_backbone-resnet18_mode-add",
        "1_backbone-efficientnet_lite0_mode-add",
        "2_backbone-resnet18_mode-multiply",
        "3_backbone-efficientnet_lite0_mode-multiply",
    ]
    given_back = OverridesParser.create().parse_overrides([f"resume=s/{name}" for name in names])
    assert [one.value() for one in given_back] == [f"s/{name}" for name in names]
