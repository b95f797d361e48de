"""An export run as its consumer would run it, beside the network it was made of."""

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from rdad.export.agreement import Agreement, agreement
from rdad.export.evidence import Evidence, loaded
from rdad.export.files import open_export, run_with
from rdad.export.formats import Written
from rdad.export.latency import Latency, latencies, network_task

if TYPE_CHECKING:
    from rdad.detector.trained_model import TrainedModel

TOLERANCE = 1e-3  # of raw scores and maps, in fp32
_UNHINTED_IMAGES = 4


@dataclass(frozen=True)
class Trial:
    """What was seen.

    Attributes:
        agreement: With the network.
        unhinted: The same on a few images without what `run_with` says; None where it says nothing.
        latencies: Of `network` and `export`; empty where none was asked for.
        timed_on: (height, width) of the image that was timed.
        network_bytes: All tensors of the network.
    """

    agreement: Agreement
    unhinted: Agreement | None
    latencies: dict[str, Latency]
    timed_on: tuple[int, int]
    threads: int
    network_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """For the sidecar."""
        unhinted = {} if self.unhinted is None else {"without_run_with": self.unhinted.to_dict()}
        where = {"image": list(self.timed_on), "batch": 1, "threads": self.threads, "device": "cpu"}
        latency = {name: asdict(one) for name, one in self.latencies.items()}
        return {
            "agreement": self.agreement.to_dict(),
            **unhinted,
            "latency": latency | where if latency else {},
        }


def tried(
    written: Written,
    trained: "TrainedModel",
    evidence: Evidence,
    *,
    compare: int | None,
    calls: int,
) -> Trial:
    """Open the files, compare on `compare` images (None: all), and time `calls` calls.

    Raises:
        ValueError: in fp32, scores or maps differ from the network's by more than TOLERANCE; in
            any precision, there are answers that are no numbers.
    """
    ask = open_export(written)
    agreed = agreement(ask, trained, evidence, most=compare)
    _check(agreed, written.precision)
    example = loaded(evidence.images[0])
    tasks = {"network": network_task(trained), "export": ask}
    return Trial(
        agreement=agreed,
        unhinted=_unhinted(written, trained, evidence),
        latencies=latencies(tasks, example, calls=calls) if calls else {},
        timed_on=(example.shape[1], example.shape[2]),
        threads=torch.get_num_threads(),
        network_bytes=sum(one.nbytes for one in trained.model.state_dict().values()),
    )


def _check(agreed: Agreement, precision: str) -> None:
    if math.isinf(agreed.largest):
        raise ValueError(f"in {precision} there are scores that are no numbers; nothing was kept")
    if precision == "fp32" and agreed.largest > TOLERANCE:
        raise ValueError(
            f"the export's answers differ from the network's: scores by up to {agreed.score:.2g}, "
            f"maps by up to {agreed.anomaly_map:.2g}; allowed in fp32 are {TOLERANCE:g}. "
            "Nothing was kept"
        )


def _unhinted(written: Written, trained: "TrainedModel", evidence: Evidence) -> Agreement | None:
    if not run_with(written.format):
        return None
    from rdad.export.openvino_file import open_openvino

    return agreement(open_openvino(written.path, {}), trained, evidence, most=_UNHINTED_IMAGES)
