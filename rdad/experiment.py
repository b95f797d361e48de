"""The only wiring: in what order a run is made of its parts."""

import logging
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from rdad.config import ConfigError, check
from rdad.run_files import read_metrics, write_metrics
from rdad.run_record import (
    CONFIG_FILE,
    RunRecord,
    overrides,
    parameters,
    read_record,
    run_name,
    write_config,
)

if TYPE_CHECKING:
    import lightning as L

    from rdad.data import AnomalyDataModule
    from rdad.model.lightning_model import ReverseDistillation
    from rdad.model.torch_model import ReverseDistillationModel
    from rdad.tracking import MlflowTracker

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """What a run came to.

    Attributes:
        metrics: By their names in MLflow, as test/image_auroc; nan where undefined. Empty in the
            processes of a distributed run that are not the first.
        output_dir: The run folder.
        mlflow_run_id: None without tracking, or where the store could not be reached.
        tracking_error: Why the run is not, or not wholly, in MLflow.
        page, ui_command: Where the run is seen, and what to type to see it.
    """

    metrics: dict[str, float]
    output_dir: Path
    mlflow_run_id: str | None = None
    tracking_error: str | None = None
    page: str | None = None
    ui_command: str | None = None


def run(cfg: DictConfig, output_dir: str | Path) -> RunResult:
    """Train, test, save and track one configuration.

    Raises:
        ConfigError: the configuration cannot be run.
        FileNotFoundError, rdad.data.DataError: images, masks or weights are missing or unusable.
        KeyboardInterrupt: Ctrl-C; the run folder then holds the weights as they were.
    """
    check(cfg)
    run_dir = Path(output_dir)
    import lightning as L
    from lightning.fabric.utilities.rank_zero import rank_zero_only

    L.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule: AnomalyDataModule = _build(cfg.dataset)
    datamodule.prepare()
    module: ReverseDistillation = _build(cfg.model)
    if getattr(
        rank_zero_only, "rank", 0
    ):  # the first process of a distributed run keeps the folder
        _trainer(cfg, run_dir, []).fit(module, datamodule=datamodule)
        return RunResult({}, run_dir)
    return _Run(cfg, run_dir, datamodule, module).result()


class _Run:
    """One run in its folder, from the first epoch to the last artifact."""

    def __init__(
        self,
        cfg: DictConfig,
        run_dir: Path,
        datamodule: "AnomalyDataModule",
        module: "ReverseDistillation",
    ) -> None:
        from rdad.tracking import source_tags

        self.cfg, self.run_dir = cfg, run_dir
        self.datamodule, self.module = datamodule, module
        write_config(run_dir, cfg)
        self.tracker: MlflowTracker | None = _build(cfg.tracking) if cfg.tracking else None
        self.record = RunRecord(
            run_dir,
            experiment=(cfg.tracking and cfg.tracking.experiment) or datamodule.name,
            run_name=run_name(cfg, datamodule.category),
            params=parameters(cfg, str(datamodule.name), datamodule.category),
            tags=source_tags(overrides(run_dir)),
            tracking={"uri": self.tracker.uri if self.tracker else None, "run_id": None},
            encoder_digest=module.model.encoder.digest(),
            data_digest=datamodule.content_digest,
            images={"train": len(datamodule.train_samples), "test": len(datamodule.test_samples)},
        )

    def result(self) -> RunResult:
        try:
            self._start_tracking()
            self._train()
            metrics = self._test()
        except BaseException as error:
            self._stopped(error)
            raise
        self._finish_tracking("FINISHED", metrics)
        self.record.end("finished")
        tracker = self.tracker
        return RunResult(
            metrics,
            self.run_dir,
            tracker and tracker.run_id,
            tracker and tracker.error,
            tracker and tracker.page,
            tracker and tracker.ui_command,
        )

    def _start_tracking(self) -> None:
        if self.tracker is None:
            return
        facts = read_record(self.run_dir)
        names = ("experiment", "run_name", "params", "tags")
        self.tracker.start(**{name: facts[name] for name in names})
        self._record_tracking()

    def _finish_tracking(self, status: Any, metrics: dict[str, float]) -> None:
        if self.tracker is not None:
            self.tracker.finish(self.run_dir, status, metrics)
            self._record_tracking()

    def _record_tracking(self) -> None:
        tracker = self.tracker
        if tracker is not None:
            known = {"uri": tracker.uri, "run_id": tracker.run_id, "error": tracker.error}
            self.record.update(tracking=known)

    def _train(self) -> None:
        from rdad.curves import write_loss_curve
        from rdad.model.model_file import MODEL_FILE, save_model
        from rdad.training import CachedFeatures, progress_callbacks

        epochs, callbacks = progress_callbacks(
            self.run_dir, self.tracker and self.tracker.log_metrics
        )
        if self.datamodule.validation == "test":
            callbacks.insert(0, self._watched_metrics())
        if self.cfg.cache_features:
            callbacks.append(CachedFeatures(self.datamodule))
        trainer = _trainer(self.cfg, self.run_dir, callbacks)
        self.precision = trainer.precision_plugin.forward_context
        self.device = trainer.strategy.root_device
        try:
            trainer.fit(self.module, datamodule=self.datamodule)
        except SystemExit as stopped:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from stopped
        finally:
            network = self.module.model
            save_model(self.run_dir / MODEL_FILE, network, self.module.network_arguments)
            write_loss_curve(self.run_dir)
        seconds = epochs.train_seconds
        rate = len(self.datamodule.train_samples) * trainer.current_epoch / seconds
        log.info(
            "trained %d epochs in %.1f s: %.1f images a second",
            *(trainer.current_epoch, seconds, rate),
        )
        self.record.update(train_seconds=round(seconds, 3), images_per_second=round(rate, 3))

    def _test(self) -> dict[str, float]:
        from rdad.artifacts import ArtifactWriter
        from rdad.evaluation import evaluate

        started = time.perf_counter()
        artifacts = self.cfg.artifacts
        metrics = self._metrics()
        with ArtifactWriter(
            self.run_dir,
            category=self.datamodule.category,
            maps=artifacts.maps,
            overlays=artifacts.overlays,
            fpr_limit=self.cfg.evaluation.fpr_limit,
        ) as writer:
            values = evaluate(
                self.module.model.to(self.device),
                self.datamodule,
                metrics,
                writer,
                precision=self.precision,
            )
            named = {f"test/{name}": value for name, value in values.items()}
            write_metrics(self.run_dir, named)
        for name, reason in metrics.undefined.items():
            log.warning("test/%s is undefined: %s", name, reason)
        self.record.update(
            test_seconds=round(time.perf_counter() - started, 3),
            peak_memory_bytes=_peak_memory(),
            undefined={f"test/{name}": reason for name, reason in metrics.undefined.items()},
        )
        return named

    def _metrics(self) -> Any:
        from rdad.metrics import AnomalyMetrics

        return AnomalyMetrics(
            defect_types=self.datamodule.defect_types,
            fpr_limit=self.cfg.evaluation.fpr_limit,
            aupro=self.cfg.evaluation.aupro,
        )

    def _watched_metrics(self) -> Any:
        from rdad.training import WatchedMetrics

        log.info("validation=test: its metrics are to watch, and never to choose by")
        return WatchedMetrics(self._metrics(), has_masks=self.datamodule.has_masks)

    def _stopped(self, error: BaseException) -> None:
        """Leave a folder, and a tracked run, that say how the run ended."""
        by_user = isinstance(error, KeyboardInterrupt)
        reason = "stopped by Ctrl-C" if by_user else f"{type(error).__name__}: {error}"
        with suppress(OSError):  # a full disk may be what stopped it
            self.record.end("interrupted" if by_user else "failed", reason=reason)
        self._finish_tracking("KILLED" if by_user else "FAILED", {})


def _build(node: DictConfig) -> Any:
    """Call what the node's `_target_` names.

    Raises:
        ConfigError: the constructor refuses a value.
        FileNotFoundError: what a value names is not there.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(node, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, FileNotFoundError):
            raise cause from error
        if isinstance(cause, ValueError | TypeError):
            raise ConfigError(str(cause)) from error
        raise


def _trainer(cfg: DictConfig, run_dir: Path, callbacks: list[Any]) -> "L.Trainer":
    """Lightning's Trainer; logging, checkpoints and progress are ours."""
    import warnings

    from hydra.utils import instantiate

    from rdad.data import DataError  # noqa: F401

    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*isinstance(treespec, LeafSpec).*")
    warnings.filterwarnings("ignore", message=".*module.s. in eval mode at the start of training.*")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    try:
        return instantiate(
            cfg.trainer,
            callbacks=callbacks,
            default_root_dir=str(run_dir),
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            _convert_="all",
        )
    except Exception as error:
        cause = error.__cause__ or error
        raise ConfigError(f"trainer: {cause}") from error


def _peak_memory() -> int:
    """Bytes: of the GPU where one was used, else of this process."""
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    import resource

    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * (1 if sys.platform == "darwin" else 1024)


@dataclass(frozen=True)
class LoadedRun:
    """A finished run: its network on the CPU in evaluation mode, configuration and metrics."""

    run_dir: Path
    model: "ReverseDistillationModel"
    cfg: DictConfig
    metrics: dict[str, float]
    record: dict[str, Any]


def load_run(run_dir: str | Path, *, weights: str | Path | None = None) -> LoadedRun:
    """A run from its folder.

    Args:
        weights: Where the encoder's weights are now, if they are not where they were.

    Raises:
        FileNotFoundError: no run folder, or one without weights.
        ValueError: its model file is damaged or does not belong to these encoder weights.
    """
    from rdad.model.model_file import MODEL_FILE, load_model

    folder = Path(run_dir)
    record = read_record(folder)
    cfg = OmegaConf.load(folder / CONFIG_FILE)
    assert isinstance(cfg, DictConfig)
    try:
        metrics = read_metrics(folder)
    except FileNotFoundError:  # interrupted before its test
        metrics = {}
    return LoadedRun(folder, load_model(folder / MODEL_FILE, weights=weights), cfg, metrics, record)
