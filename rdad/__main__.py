"""`rdad <command> …`, which is `python -m rdad.<command> …` by a shorter name."""

import difflib
import runpy
import sys

COMMANDS = {
    "train": "train, test and track one run, or sweep over many",
    "evaluate": "test a trained network again: other images, map, blur or thresholds",
    "predict": "scores, verdicts and maps of images",
    "export": "ONNX, OpenVINO or TorchScript, checked against the network",
    "compare": "the jobs of a sweep side by side",
    "register": "give a run's model a name in MLflow, to serve it by",
    "upload": "send runs to MLflow that it does not have",
    "download": "fetch a public data set",
    "submit": "what MVTec AD 2's evaluation server takes",
    "benchmark": "where time and memory go on this machine",
}
BAD_INPUT = 1


def main() -> None:
    """Become the command that is named; without one, list them all."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        lines = [f"  {command:<10} {what}" for command, what in COMMANDS.items()]
        print("\n".join(["rdad COMMAND ...\n", *lines, "\nrdad COMMAND --help says more"]))
        return
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(COMMANDS)}"
        print(f"rdad: no command {name!r}; {hint}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    sys.argv = [f"rdad {name}", *arguments]
    runpy.run_module(f"rdad.{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
