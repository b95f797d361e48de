"""What several tests need: the place of the real data, and a quiet MLflow."""

import copy
import gc
import logging
import os
import signal
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
from charts import grey_pixel
from omegaconf import DictConfig

gc.disable()  # while all is imported, see below
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# One core a process: tests run side by side, and torch's threads wait for each other busily.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell makes what it starts in the background deaf to Ctrl-C, and all that is started from there.
signal.signal(signal.SIGINT, signal.default_int_handler)

REPO = Path(__file__).resolve().parent.parent
SLOW = {  # folders and files of tests that start processes, train or draw: not in make quick
    *("benchmark", "experiment", "fuzz", "hydra_plugins", "integration", "tracking"),
    *("test_allowed", "test_callbacks", "test_charts", "test_command_line", "test_comparison"),
    *("test_comparison_page", "test_compiled_steps", "test_compose", "test_curves", "test_decoded"),
    *("test_download", "test_export_command", "test_exports", "test_folder", "test_folding"),
    *("test_graph", "test_lightning_model", "test_main", "test_metrics_across_processes"),
    *("test_model_file", "test_network", "test_optimizers", "test_predict_command"),
    *("test_rd4ad_checkpoint", "test_report_page", "test_reuse", "test_served_model"),
    *("test_spelling", "test_store", "test_stream", "test_streaming_evaluation", "test_submit"),
    *("test_sweep_configs", "test_textures", "test_trials", "test_version_0_1_0", "test_writer"),
}


def is_slow(path: Path) -> bool:
    return bool(SLOW & {path.stem, path.parent.name})


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Nothing is imported for tests that will not run."""
    left_out = config.getoption("markexpr") == "not slow" and is_slow(collection_path)
    return True if left_out else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow files come first, so that at the end no process waits long for another's last."""
    for item in items:
        if is_slow(item.path):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: not is_slow(item.path))


def pytest_collection_finish() -> None:
    """What was imported is no rubbish, and is not looked through for it again and again."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def small_charts() -> Iterator[Callable[..., None]]:
    """`grey_pixel` in place of what draws charts, which it gives for tests that ask for `charts`.

    Imported here, as numpy reads the number of its threads, once, from the variable above.
    """
    curves = import_module("rdad.results.curves")
    drawing: Callable[..., None] = curves.write_chart
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "write_chart", grey_pixel)
        yield drawing


@pytest.fixture(scope="session", autouse=True)
def composed_once() -> Iterator[None]:
    """What is composed again is a copy: Hydra takes a third of a second for the same."""
    module = import_module("rdad.config.compose")
    compose, known = module.compose, {}

    def composed(name: str, overrides: list[str], *, return_hydra_config: bool) -> DictConfig:
        key = (module.CONF_DIR, name, *overrides, return_hydra_config)
        if key not in known or any("searchpath" in one for one in overrides):
            known[key] = compose(name, overrides, return_hydra_config=return_hydra_config)
        return copy.deepcopy(known[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "compose", composed)
        yield


@pytest.fixture
def charts(small_charts: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts are drawn."""
    monkeypatch.setattr("rdad.results.curves.write_chart", small_charts)


@pytest.fixture(autouse=True)
def process_left_as_it_was() -> Iterator[None]:
    """A test that changes what all tests of its process share fails, not one that comes after."""
    before = _shared()
    yield
    assert _shared() == before


def _shared() -> dict[str, object]:
    return {
        "level of the log": logging.getLogger().level,
        "folder": Path.cwd(),
        "at Ctrl-C": signal.getsignal(signal.SIGINT),
        "at SIGTERM": signal.getsignal(signal.SIGTERM),
    }


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder with data/, weights/ and reference/ that RDAD_TEST_ASSETS names."""
    named = os.environ.get("RDAD_TEST_ASSETS")
    if named is None:
        pytest.skip("RDAD_TEST_ASSETS does not name the folder with real images and weights")
    folder = Path(named).resolve()
    missing = [part for part in ("data", "weights", "reference") if not (folder / part).is_dir()]
    if missing:
        pytest.fail(f"RDAD_TEST_ASSETS is {folder}, which lacks {', '.join(missing)}")
    return folder


@pytest.fixture(scope="session")
def resnet18_weights(assets: Path) -> Path:
    return assets / "weights" / "resnet18_imagenet1k_v1_partial.pth"
