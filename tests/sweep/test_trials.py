"""What comes of a search's trials, without Hydra."""

from pathlib import Path

import pytest

pytest.importorskip("optuna", reason="needs the extra `optuna`")

from hydra.core.override_parser.overrides_parser import OverridesParser

from rdad.sweep.search.space import search_space
from rdad.sweep.search.trials import Search


@pytest.mark.parametrize("returned", [None, "text", [1.0, 2.0], float("nan"), [None]])
def test_a_job_that_gives_no_number_has_failed_and_is_not_asked_for_again(
    returned: object, tmp_path: Path
) -> None:
    space = search_space(OverridesParser.create().parse_overrides(["x=1,2"]))
    search = Search(space, tmp_path, directions=["maximize"], sampler="random", seed=0)
    assert list(search.ask(2, n_trials=1)) == [0]
    with pytest.raises(ValueError, match="expected 1 finite number, one for each"):
        search.tell(0, returned)
    assert search.ask(2, n_trials=1) == {}
    assert search.results()["trials"] == {"fail": 1}
