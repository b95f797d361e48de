"""What a reader of a results table asks about a configuration."""

from omegaconf import DictConfig


def run_name(cfg: DictConfig, category: str) -> str:
    """Short, for a row of a table: category, backbone, map mode, and layers where not all."""
    layers = sorted(set(cfg.model.layers))
    named = "" if len(layers) == 3 else " " + "+".join(layers)
    return f"{category} {cfg.model.backbone} {cfg.model.anomaly_map_mode}{named}"


def parameters(cfg: DictConfig, dataset: str, category: str) -> dict[str, str | int | float]:
    """What a reader of a results table asks about."""
    model = cfg.model
    return {
        "dataset": dataset,
        "category": category,
        "backbone": model.backbone,
        "layers": "+".join(sorted(set(model.layers))),
        "mode": model.anomaly_map_mode,
        "loss": model.loss,
        "weights": "none" if model.weights is None or not model.pre_trained else model.weights,
        "image_size": "x".join(map(str, model.input_size)),
        "tile": "x".join(map(str, cfg.dataset.tile or ["none"])),
        "sigma": model.sigma,
        "batch_size": cfg.dataset.batch_size,
        "max_epochs": cfg.trainer.max_epochs,
        "lr": model.lr,
        "precision": cfg.trainer.precision,
        "validation": cfg.dataset.validation,
        "seed": cfg.seed,
    }
