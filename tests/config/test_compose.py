"""What composes, and what a configuration is refused for, naming key, found and allowed."""

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from omegaconf import DictConfig, OmegaConf

from rdad.config.checks import check
from rdad.config.compose import CONF_DIR, load_config, with_chosen_weights
from rdad.config.mistakes import ConfigError
from rdad.config.schema import ACCELERATORS, DATASETS, STRATEGIES, TrainerConfig
from rdad.model.names import LossName

SLOW = ("torch", "torchvision", "lightning", "mlflow", "pandas", "matplotlib", "timm", "scipy")
GROUPS = sorted(
    path.relative_to(CONF_DIR).with_suffix("").as_posix()
    for path in CONF_DIR.glob("*/*.yaml")
    if path.parent.name != "hydra"
)
MVTEC_AD = ("dataset=mvtec_ad", "dataset.root=data", "dataset.category=bottle")
FOLDER = ("dataset=folder", "dataset.root=data", "dataset.normal=good")


def missing(cfg: DictConfig) -> list[str]:
    return [f"{key}=given" for key in sorted(OmegaConf.missing_keys(cfg))]


@pytest.mark.parametrize("option", GROUPS)
def test_every_option_composes_and_passes_with_what_it_asks_for(option: str):
    group, _, name = option.rpartition("/")
    asked_for = missing(load_config(f"{group}={name}"))
    if option == "experiment/joint":
        asked_for.append("dataset.category=[brick,grass]")
    if option == "callbacks/early_stopping":
        asked_for.append("dataset.validation=split")
    check(load_config(f"{group}={name}", *asked_for))


@pytest.mark.parametrize(
    ("group", "options"),
    {
        "backbone": "efficientnet_lite0 efficientnet_lite1 efficientnet_lite2 resnet18 resnet34 "
        "resnet50 wide_resnet50 timm",
        "layers": "layer1 layer2 layer3 layer12 layer13 layer23 layer123",
        "mode": "add multiply",
        "loss": "global_cosine local_cosine hard_mining loose",
        "optimizer": "adam adamw stable_adamw",
        "schedule": "constant cosine step",
        "score": "max top_percent",
        "dataset": "textures mvtec_ad folder",
        "trainer": "auto cpu gpu ddp",
        "tracking": "mlflow off",
        "sweep": "mode backbone_mode layers categories seeds",
        "experiment": "quick fast paper joint",
        "precision": "float32 bf16 auto",
    }.items(),
)
def test_groups_offer_what_later_work_relies_on(group: str, options: str):
    offered = {option.rpartition("/")[2] for option in GROUPS if option.startswith(f"{group}/")}
    assert set(options.split()) <= offered


def test_defaults_are_the_recipe_of_the_paper_on_what_pip_installed():
    cfg = load_config()
    check(cfg)
    assert (cfg.model.backbone, cfg.model.weights) == ("efficientnet_lite0", "default")
    assert cfg.model.layers == ["layer1", "layer2", "layer3"]
    assert (cfg.model.anomaly_map_mode, cfg.model.loss) == ("add", "global_cosine")
    assert (cfg.model.lr, cfg.model.beta1, cfg.model.beta2) == (0.005, 0.5, 0.999)
    assert cfg.model.sigma == 4 and cfg.model.pre_trained is True
    assert cfg.dataset.image_size == [256, 256] and cfg.dataset.batch_size == 16
    assert cfg.dataset.validation == "none"
    assert cfg.trainer.max_epochs == 200 and cfg.trainer.precision == "32-true"
    assert cfg.evaluation.fpr_limit == 0.3 and cfg.evaluation.aupro == "dataset"


def test_experiment_paper_is_the_published_run_and_gives_way_to_overrides():
    data = ("dataset.root=data", "dataset.category=bottle")
    cfg = load_config("experiment=paper", *data)
    check(cfg)
    assert (cfg.model.backbone, cfg.seed) == ("wide_resnet50_2", 111)
    assert cfg.dataset._target_ == "rdad.data.mvtec_ad"
    changed = load_config("experiment=paper", "seed=9", "backbone=resnet18", *data)
    assert (changed.model.backbone, changed.seed) == ("resnet18", 9)


def test_experiment_best_is_one_recipe_that_quick_follows_and_that_gives_way_to_overrides():
    best, quick = load_config("experiment=best"), load_config("experiment=quick")
    assert (best.model.optimizer, best.model.lr, best.model.loss) == ("adamw", 0.002, "loose")
    assert best.dataset.batch_size == 8 and best.trainer.max_epochs == 200
    assert quick.trainer.max_epochs == 12
    quick.trainer.max_epochs = best.trainer.max_epochs
    assert quick == best
    changed = load_config("experiment=quick", "loss=global_cosine", "optimizer=adam")
    assert (changed.model.loss, changed.model.lr) == ("global_cosine", 0.005)


def test_model_node_takes_its_size_from_the_data_and_its_seed_reaches_the_data():
    cfg = load_config("dataset.image_size=[64,96]", "seed=7")
    assert cfg.model.input_size == [64, 96]
    assert cfg.dataset.seed == 7


def test_model_node_holds_exactly_the_constructors_arguments():
    import inspect

    from rdad.model.lightning_model import ReverseDistillation

    arguments = set(inspect.signature(ReverseDistillation).parameters)
    of_the_run = {"start_from"}  # which fills the network that these make, see network_of
    assert set(load_config().model) - {"_target_"} == arguments | of_the_run


def test_the_schema_knows_what_lightning_takes():
    import inspect

    from lightning.pytorch import Trainer
    from lightning.pytorch.accelerators import AcceleratorRegistry
    from lightning.pytorch.strategies import StrategyRegistry

    own = {"default_root_dir", "enable_checkpointing", "enable_model_summary", "logger"}
    own |= {"callbacks", "enable_progress_bar", "num_sanity_val_steps", "limit_val_batches"}
    own |= {"log_every_n_steps"}  # which rdad.experiment.trainer sets
    known = {*load_config().trainer, *TrainerConfig.FURTHER} - {"_target_"}
    assert known == set(inspect.signature(Trainer).parameters) - own
    assert {*StrategyRegistry.available_strategies(), "auto"} == {*STRATEGIES}
    assert {*AcceleratorRegistry.available_accelerators(), "auto", "gpu"} == {*ACCELERATORS}


def test_tracking_off_leaves_no_trace_of_mlflow():
    cfg = load_config("tracking=off")
    check(cfg)
    assert cfg.tracking is None


@pytest.mark.parametrize(
    "overrides",
    [
        FOLDER,
        (*FOLDER[:2], "dataset.normal=[a,b]", "dataset.defects=[c]", "dataset.masks=[d]"),
        (*FOLDER, "dataset.holdout=0", "dataset.category=01"),
        ("dataset.image_size=[32,320]", "dataset.validation=split"),
        ("layers=layer1", "dataset.image_size=[40,72]"),
        ("model.weights=null", "artifacts.overlays=null", "model.sigma=0", "seed=0"),
        ("trainer.devices=[0,1]", "evaluation.aupro=per_image", "evaluation.fpr_limit=1"),
        ("model.lr=1e-3", "model.beta1=0", "checkpoint_every_n_epochs=0"),
    ],
    ids=" ".join,
)
def test_sound_values_pass(overrides: tuple[str, ...]):
    check(load_config(*overrides))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.bakbone=x", "there is no model.bakbone; did you mean model.backbone?"),
        ("trainer.max_epoch=3", "there is no trainer.max_epoch; did you mean trainer.max_epochs?"),
        ("max_epochs=3", "there is no max_epochs; did you mean trainer.max_epochs?"),
        ("tracking.url=x", "there is no tracking.url; did you mean tracking.uri?"),
        ("evaluation.fpr=0.1", "there is no evaluation.fpr; evaluation has fpr_limit, streaming"),
        ("artifacts.map=true", "there is no artifacts.map; did you mean artifacts.maps?"),
        ("dataset.rooot=x", "there is no dataset.rooot; dataset (rdad.data.textures) has image"),
        ("sede=3", "there is no sede; did you mean seed?"),
        ("bakbone=resnet18", "there is no bakbone; did you mean backbone?"),
        ("hydra/launchr=parallel", "there is no hydra/launchr; did you mean hydra/launcher?"),
        ("hydra.sweep.dr=x", "there is no hydra.sweep.dr; did you mean hydra.sweep.dir?"),
        ("mode=ad", "mode=ad: there is no 'mode/ad' (did you mean add?); mode has add, multiply"),
        ("trainer.gradient_clip_val=1", "which a + sets: +trainer.gradient_clip_val=…"),
    ],
)
def test_misspelt_key_is_refused_with_the_nearest(override: str, said: str):
    with pytest.raises(ConfigError) as caught:
        load_config(override)
    assert said in str(caught.value)
    assert "append" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "found", "wanted"),
    [
        ("seed=abc", "abc", "Integer"),
        ("trainer.max_epochs=many", "many", "Integer"),
        ("trainer.max_epochs=2.5", "2.5", "Integer"),
        ("model.lr=fast", "fast", "Float"),
        ("model.layers=layer1", "str", "ListConfig"),
        ("reuse=perhaps", "perhaps", "bool"),
        ("seed=null", "null", "Optional"),
    ],
)
def test_value_of_a_wrong_type_is_refused_by_key(override: str, found: str, wanted: str):
    with pytest.raises(ConfigError) as caught:
        load_config(override)
    message = str(caught.value)
    assert override.partition("=")[0] in message and found in message and wanted in message


@pytest.mark.parametrize("group", sorted({option.rpartition("/")[0] for option in GROUPS}))
def test_unknown_option_of_a_group_lists_those_it_has(group: str):
    with pytest.raises(ConfigError, match=f"there is no '{group}/foo'") as caught:
        load_config(f"{group}=foo")
    options = {option.rpartition("/")[2] for option in GROUPS if option.startswith(f"{group}/")}
    assert options <= set(str(caught.value).replace(",", " ").split())


@pytest.mark.parametrize("overrides", ["mode", "=x", "seed=1,2", "mode=null", "nogroup=x"])
def test_override_that_hydra_cannot_read_is_a_configuration_error(overrides: str):
    with pytest.raises(ConfigError, match=r"\S"):
        load_config(overrides)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sede: 3", "there is no sede; did you mean seed"),
        ("model: {bakbone: x}", "there is no model.bakbone; did you mean model.back"),
        ("trainer: {max_epochs: many}", "'many' of type 'str' could not be converted to Integer"),
        ("dataset: {rooot: x}", r"a key of dataset must be one of .*root.*; found 'rooot'"),
        ("dataset: {batch_size: many}", r"dataset\.batch_size: Value 'many' .*Integer"),
    ],
)
def test_mistake_in_an_experiment_file_is_refused(text: str, message: str, tmp_path: Path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{text}\n")
    with pytest.raises(ConfigError, match=message):
        check(load_config(f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine", *MVTEC_AD))


def test_experiment_file_without_a_mistake_composes(tmp_path: Path):
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\nseed: 3\ndataset: {batch_size: 4}\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(text)
    cfg = load_config(f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine")
    check(cfg)
    assert (cfg.seed, cfg.dataset.batch_size) == (3, 4)


REFUSED = [
    (("layers=layer123", "model.layers=[layer4]"), "layer1, layer2, layer3; found ['layer4']"),
    (("model.layers=[]",), "layers must name one or more of layer1, layer2, layer3; found none"),
    (("dataset.image_size=[250,256]",), "250x256 does not fit the network"),
    (("dataset.image_size=[250,256]",), "the nearest size is [256,256]"),
    (("dataset.image_size=[256]",), "image size must be (height, width); found [256]"),
    (("dataset.image_size=[256,a]",), "dataset.image_size[1]: Value 'a' of type 'str'"),
    (("dataset.image_size=256",), "dataset.image_size: a list in brackets is needed; found 256"),
    (("dataset.tile_overlap=1.5",), "tile_overlap is 1.5; allowed: 0 to 0.9"),
    (("dataset.tile=[256]",), "tile is [256]; expected [height, width], both 1 or more"),
    (("dataset.tile=256",), "dataset.tile: "),
    (
        ("dataset.tile=[9,9]", "dataset.tile_overlap=0.95"),
        "tile_overlap is 0.95; allowed: 0 to 0.9",
    ),
    (("dataset.batch_size=null",), "dataset.batch_size: "),
    (("dataset.batch_size='4'",), "dataset.batch_size must be 4; found '4'"),
    ((*MVTEC_AD[:2], "dataset.category=5"), "dataset.category must be '5'; found 5 (quotes"),
    (("dataset.joint=true",), "dataset.joint takes a list of different categories, as in"),
    (("dataset.category=[brick,grass]",), "dataset.category is a list, brick, grass: one network"),
    (("dataset.joint=true", "dataset.category=[brick,wood]"), "one of brick, grass, gravel; found"),
    (("~dataset.validation",), "dataset.validation must be given"),
    (("objective=3",), "test/aupro, train_seconds; found 3"),
    (("objective=[]",), "test/aupro, train_seconds; found []"),
    (("model.loss=3",), f"model.loss must be one of {', '.join(get_args(LossName))}; found 3"),
    (("+foo=1",), "a key of the configuration must be one of model, dataset, trainer"),
    (("+dataset.foo=1",), "a key of dataset must be one of _target_, image_size"),
    (("dataset=mvtec_ad",), "dataset.category, dataset.root must be given, as in dataset.categ"),
    ((*MVTEC_AD[:2], "dataset.category=null"), "dataset.category: field 'category' is not Opt"),
    (("dataset=folder", "dataset.root=x"), "dataset.normal must be given, as in dataset.normal=…"),
    (("backbone=timm",), "model.backbone must be given, as in model.backbone=…"),
    (("dataset.seed=${sede}",), "Interpolation key 'sede' not found"),
]
NOT_ALLOWED = [
    ("model.anomaly_map_mode=sum", "one of add, multiply; found 'sum'"),
    (
        "model.loss=cosine",
        f"one of {', '.join(get_args(LossName))}; found 'cosine' (did you mean local_cosine?)",
    ),
    ("cache_features=half", "one of float32, float16, none; found 'half'"),
    (
        "trainer.precision=16-mixed",
        "one of 32-true, bf16-mixed, auto; found '16-mixed' (did you mean bf16-mixed?)",
    ),
    ("compile=fast", "one of default, reduce-overhead, max-autotune; found 'fast'"),
    (
        "evaluation.aupro=image",
        "one of dataset, per_image; found 'image' (did you mean per_image?)",
    ),
    ("dataset.validation=all", "one of none, split, test; found 'all'"),
    ("dataset.category=wood", "one of brick, grass, gravel; found 'wood'"),
    ("seed=-1", "in [0, 4294967295]; found -1"),
    ("seed=4294967296", "in [0, 4294967295]; found 4294967296"),
    ("dataset.batch_size=0", "in [1, 1000000]; found 0"),
    ("trainer.max_epochs=0", "in [1, 1000000]; found 0"),
    ("trainer.check_val_every_n_epoch=0", "in [1, 1000000]; found 0"),
    ("checkpoint_every_n_epochs=-1", "in [0, 1000000]; found -1"),
    ("trainer.max_steps=0", "in [1, 1000000000]; found 0"),
    ("model.optimizer=sgd", "one of adam, adamw, stable_adamw; found 'sgd'"),
    ("model.schedule=linear", "one of constant, cosine, step; found 'linear'"),
    ("model.clip_norm=0", "in (0, 1000000]; found 0.0"),
    ("model.weight_decay=-1", "in [0, 1000]; found -1.0"),
    ("model.warmup_steps=-1", "in [0, 1000000000]; found -1"),
    ("model.bottleneck_dropout=1", "in [0, 1); found 1.0"),
    ("model.feature_jitter=-1", "in [0, 1000]; found -1.0"),
    ("threads=-1", "in [0, 10000]; found -1"),
    ("model.score_share=2", "in [0, 1]; found 2.0"),
    ("artifacts.overlays=-1", "0 or more; found -1"),
    ("model.sigma=-0.5", "in [0, 10000]; found -0.5"),
    ("model.sigma=nan", "in [0, 10000]; found nan"),
    ("model.lr=0", "in (0, 1000]; found 0.0"),
    ("model.lr=nan", "in (0, 1000]; found nan"),
    ("model.lr=inf", "in (0, 1000]; found inf"),
    ("model.sigma=inf", "in [0, 10000]; found inf"),
    ("model.beta1=1", "in [0, 1); found 1.0"),
    ("model.beta2=-0.1", "in [0, 1); found -0.1"),
    ("evaluation.fpr_limit=0", "in (0, 1]; found 0.0"),
    ("evaluation.fpr_limit=1.1", "in (0, 1]; found 1.1"),
    ("dataset.validation_fraction=0", "above 0 and below 1; found 0.0"),
    ("dataset.validation_fraction=1", "above 0 and below 1; found 1.0"),
    ("dataset.calibration=1", "in [0, 1); found 1.0"),
    ("thresholds.image_rate=0", "above 0 and below 1; found 0.0"),
    ("thresholds.pixel_rate=1.5", "above 0 and below 1; found 1.5"),
]


@pytest.mark.parametrize(("override", "allowed"), NOT_ALLOWED)
def test_value_that_is_not_allowed_is_refused_with_key_allowed_and_found(
    override: str, allowed: str
):
    key = override.partition("=")[0]
    with pytest.raises(ConfigError, match=f"^{re.escape(f'{key} must be {allowed}')}$"):
        check(load_config(override))


def test_holdout_that_leaves_no_normal_image_is_refused():
    cfg = load_config(*FOLDER, "dataset.holdout=1")
    with pytest.raises(ConfigError, match=r"dataset\.holdout must be in \[0, 1\); found 1\.0"):
        check(cfg)


@pytest.mark.parametrize(("overrides", "message"), REFUSED)
def test_value_that_cannot_be_run_is_refused(overrides: tuple[str, ...], message: str):
    cfg = load_config(*overrides)
    with pytest.raises(ConfigError) as caught:
        check(cfg)
    assert message in str(caught.value)


def test_dataset_of_a_users_own_checks_its_own_arguments():
    cfg = load_config("dataset._target_=mine.data", "+dataset.anything=1", "~dataset.validation")
    check(cfg)
    assert "mine.data" not in DATASETS


def test_checking_changes_nothing():
    cfg = load_config(*FOLDER)
    before = OmegaConf.to_yaml(cfg)
    check(cfg)
    assert OmegaConf.to_yaml(cfg) == before


def test_composing_twice_gives_the_same_as_once():
    load_config("mode=multiply")
    assert load_config().model.anomaly_map_mode == "add"


def test_composing_and_checking_imports_nothing_slow():
    program = f"""
import sys
from rdad.config.checks import check
from rdad.config.compose import load_config
check(load_config())
check(load_config("dataset=mvtec_ad", "dataset.root=x", "dataset.category=y"))
print([name for name in {SLOW} if name in sys.modules])
"""
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "[]\n"


def test_weights_of_one_backbone_leave_the_others_theirs() -> None:
    given = "model.weights={resnet18: /x/r18.pth, wide_resnet50: w.pth}"
    found = {
        backbone: with_chosen_weights(load_config(f"backbone={backbone}", given)).model.weights
        for backbone in ("resnet18", "wide_resnet50", "resnet34")
    }
    assert found == {"resnet18": "/x/r18.pth", "wide_resnet50": "w.pth", "resnet34": "default"}


def test_weights_of_a_misspelt_backbone_are_refused() -> None:
    cfg = load_config("backbone=resnet18", "model.weights={resnet81: x.pth}")
    with pytest.raises(ConfigError, match=r"no backbone resnet81 \(did you mean resnet18\?\)"):
        with_chosen_weights(cfg)


def test_weights_are_texts() -> None:
    with pytest.raises(ConfigError, match=r"model\.weights must be a file or a name"):
        check(load_config("model.weights={resnet18: 3}"))


def test_a_misspelt_name_of_a_value_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"found 'adamww' \(did you mean adamw\?\)"):
        check(load_config("model.optimizer=adamww"))
