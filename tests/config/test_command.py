"""Arguments of the commands that work on finished runs."""

import pytest

import rdad.predict.__main__  # noqa: F401  registers the options' types
from rdad.config.command import Command
from rdad.config.mistakes import ConfigError

PREDICT = Command("predict", "Score images.", "RUN IMAGE...", least=2, most=None, examples=())


def test_an_option_named_like_a_group_of_training_is_a_value_here() -> None:
    arguments = ["run", "backbone=wide_resnet50_2", "photo.png", "layers=[layer1]", "maps=true"]
    named, cfg = PREDICT.read(arguments)
    assert named == ["run", "photo.png"]
    assert (cfg.backbone, cfg.layers, cfg.maps) == ("wide_resnet50_2", ["layer1"], True)


@pytest.mark.parametrize(
    ("option", "said"), [("mode=add", "mode"), ("layers=3", "layers"), ("maps=perhaps", "maps")]
)
def test_an_option_that_is_not_allowed_is_named(option: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        PREDICT.read(["run", "photo.png", option])


@pytest.mark.parametrize(
    "value",
    ["результат", "out(1)", "a,b", "結果 1", "d'or", "C:\\x", "a\\b,c", "a\\'b,", "(\\", "plain"],
)
def test_a_value_is_taken_as_it_stands(value: str) -> None:
    assert PREDICT.read(["run", "photo.png", f"output={value}"])[1].output == value
    assert PREDICT.read(["run", "photo.png", f"weights={value}"])[1].weights == value
