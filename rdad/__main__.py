"""`rdad <command> …`, which is `python -m rdad.<command> …` by a shorter name."""

import difflib
import os
import re
import runpy
import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "train": "train, test and track one run, or sweep over many",
    "evaluate": "test a trained network again: other images, map, blur or thresholds",
    "predict": "scores, verdicts and maps of images",
    "export": "ONNX, OpenVINO or torch.export, checked against the network",
    "compare": "the jobs of a sweep side by side",
    "register": "give a run's model a name in MLflow, to serve it by",
    "serve": "answer requests over HTTP: files of images in, verdicts out",
    "upload": "send runs to MLflow that it does not have",
    "download": "fetch a public data set",
    "submit": "what MVTec AD 2's evaluation server takes",
    "benchmark": "where time and memory go on this machine",
}
BAD_INPUT = 1
COMPLETION = ("-sc", "--shell-completion")


def main() -> None:
    """Become the command that is named; without one, list them all."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        lines = [f"  {command:<10} {what}" for command, what in COMMANDS.items()]
        print("\n".join(["rdad COMMAND ...\n", *lines, "\nrdad COMMAND --help says more"]))
        return
    if name in COMPLETION:
        _complete(sys.argv[1:])
        return
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(COMMANDS)}"
        print(f"rdad: no command {name!r}; {hint}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    sys.argv = [f"rdad {name}", *arguments]
    runpy.run_module(f"rdad.{name}", run_name="__main__", alter_sys=True)


def _complete(arguments: Sequence[str]) -> None:
    """What a shell asks: Hydra's own answer for `rdad train`, else commands and options."""
    line = os.environ.get("COMP_LINE", "")
    words = line.split()
    name = words[1] if len(words) > 2 or (len(words) == 2 and line.endswith(" ")) else None
    if "query" not in " ".join(arguments) or name == "train":
        os.environ["COMP_LINE"] = line.replace(" train", "", 1)
        sys.argv = ["rdad", *arguments]  # by which the shell is to call
        import_module("rdad.train").command()
    elif name in COMMANDS:
        path = import_module("rdad.config.compose").CONF_DIR / f"{name}.yaml"
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        print(" ".join(f"{key}=" for key in re.findall(r"^(?!defaults)(\w+):", text, re.MULTILINE)))
    else:
        print(" ".join(COMMANDS))


if __name__ == "__main__":
    main()
