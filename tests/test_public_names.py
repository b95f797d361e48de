"""`import rdad` is quick, and gives every public name."""

import pkgutil
import subprocess
import sys

import pytest

import rdad

OWED = {  # by the programming interface
    "AUPRO",
    "AnomalyMapGenerator",
    "ReverseDistillation",
    "ReverseDistillationLightning",
    "ReverseDistillationLoss",
    "ReverseDistillationModel",
    "RunResult",
    "load_config",
    "load_run",
    "run",
}


def test_importing_rdad_takes_nothing_slow_with_it():
    program = "import sys, rdad; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    slow = {"torch", "torchvision", "mlflow", "lightning", "hydra", "omegaconf", "numpy", "pandas"}
    assert not slow & set(done.stdout.split())


@pytest.mark.parametrize("name", sorted(rdad.__all__))
def test_every_public_name_is_there(name: str):
    found = getattr(rdad, name)
    assert found.__name__ == name
    assert found.__doc__


def test_what_the_interface_owes_is_public():
    assert set(rdad.__all__) >= OWED


def test_public_names_show_where_a_user_looks_for_them():
    assert set(dir(rdad)) >= set(rdad.__all__)


def test_no_public_name_is_a_modules_name():
    modules = {module.name for module in pkgutil.iter_modules(rdad.__path__)}
    assert modules and not modules & set(rdad.__all__)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"rdad.*Reverse"):
        rdad.Reverse  # noqa: B018
    with pytest.raises(ImportError):
        from rdad import Reverse  # noqa: F401
