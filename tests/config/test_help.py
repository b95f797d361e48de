"""What `--help` says of each option."""

import re
from pathlib import Path

import pytest

from rdad.config.compose import composed
from rdad.config.help import COLUMN, WIDTH, Comments, app_help
from rdad.evaluate import COMMAND


def shown(*overrides: str) -> list[str]:
    return app_help(composed("train", overrides, with_hydra=True)).splitlines()


def test_every_option_is_told_with_a_comment() -> None:
    lines = shown()
    values = lines[lines.index("model:") :]
    keys = [one for one in values if re.match(r" *\w+: \S", one) and "_target_" not in one]
    assert len(keys) > 60
    assert [one for one in keys if "# " not in one] == []
    assert "  sigma: 4.0                        # blur of the map in pixels: the authors'" in values
    assert "  beta1: 0.5                        # in [0, 1)" in values


def test_what_is_told_fits_a_terminal() -> None:
    for lines in (shown(), shown("dataset=visa", "loss=loose"), COMMAND.help().splitlines()):
        unbroken = (" python -m rdad.", "oc.env")
        assert [
            one for one in lines if len(one) > WIDTH and not any(map(one.count, unbroken))
        ] == []


def test_a_chosen_group_is_shown_alone_with_what_its_files_say() -> None:
    lines = shown("dataset=folder", "callbacks=[early_stopping,learning_rate]", "seed=3")
    assert lines[0] == "dataset=folder: Your own folders. Only `normal` has to be given."
    assert "  root: ???                         # a folder" in lines
    assert "  holdout: 0.2                      # that part" in lines
    assert any(one.startswith("  image_size: [256, 256]            # height, w") for one in lines)
    assert any(one.startswith("    patience: 5                     # validations") for one in lines)
    assert not any(one.startswith(("model:", "seed:", "trainer:")) for one in lines)
    assert lines[-1] == "--help alone shows all groups and values."


def test_an_experiment_is_shown_with_all_that_it_changes() -> None:
    lines = shown("experiment=fast")
    assert any(one.startswith("  max_epochs: 80 ") for one in lines)
    assert any(one.startswith("seed: 0 ") for one in lines)


@pytest.mark.parametrize(
    ("line", "key", "said"),
    [
        ("size: [1, 2] # both sides", "part.size", "both sides"),
        ("# share: of the places", "part.share", "of the places"),
        ("node:\n  deep: '#1'  # inside", "part.node.deep", "inside"),
    ],
)
def test_a_comment_belongs_to_its_key(line: str, key: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(f"# @package part\n# What it is.\n{line}\n")
    comments = Comments([tmp_path])
    assert comments.read("own") == ("part", "What it is.") or line.startswith("#")
    assert comments[key] == said


def test_what_is_too_long_for_its_column_wraps_behind_it() -> None:
    lines = shown("dataset=textures")
    after = lines.index(
        "                                    # test: metrics to watch, never to choose by"
    )
    assert lines[after - 1].startswith("  validation: none ")
    assert lines[after].startswith(" " * COLUMN + "# test")
