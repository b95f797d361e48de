"""model.pt2: for torch.export.load, which runs no code of the file's."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from rdad.export.formats import Answers, Ask, Images

if TYPE_CHECKING:
    from torch.export import ExportedProgram


def write_torch(program: "ExportedProgram", path: Path) -> None:
    with warnings.catch_warnings():  # of weights that are stored with channels last
        warnings.filterwarnings("ignore", message="No complete tensor found")
        torch.export.save(program, path)


def open_torch(path: Path, outputs: tuple[str, ...]) -> Ask:
    """The written file, on the CPU."""
    network = torch.export.load(path).module()

    def ask(images: Images) -> Answers:
        with torch.inference_mode():
            found = network(torch.tensor(images))
        return {name: values.numpy() for name, values in zip(outputs, found, strict=True)}

    return ask
