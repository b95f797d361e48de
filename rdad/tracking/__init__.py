"""MLflow as the index of run folders: what is tracked is on disk first and copied after."""

from typing import TYPE_CHECKING, Any

from rdad.tracking.tags import source_tags
from rdad.tracking.tracker import MlflowTracker

if TYPE_CHECKING:
    from rdad.tracking.sweep_run import SweepRun

__all__ = ["MlflowTracker", "SweepRun", "source_tags"]


def __getattr__(name: str) -> Any:
    """SweepRun needs Hydra, which the tracker and the upload do without."""
    if name == "SweepRun":
        from rdad.tracking.sweep_run import SweepRun

        return SweepRun
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
