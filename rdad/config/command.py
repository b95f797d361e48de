"""`python -m rdad.<command> THING... [key=value ...]`: arguments, help and exit codes of commands.

Options are composed from conf/<command>.yaml in Hydra's spelling, without Hydra's run folders.
"""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from rdad.config.compose import CONF_DIR, change, composed
from rdad.config.help import Comments, described, wrapped
from rdad.config.mistakes import ConfigError
from rdad.config.spelling import OVERRIDE, literal
from rdad.runs.ending import asks_for_help, reader_may_leave
from rdad.runs.folder import have_a_home
from rdad.runs.names import VisibleFormatter, let_print_any_name, visible

BAD_INPUT, INTERRUPTED = 1, 130
STDIN = "-"  # stands for a list that comes through a pipe


@dataclass(frozen=True)
class Command:
    """What a command is called and takes.

    Attributes:
        name: conf/<name>.yaml holds its options.
        summary: What `--help` says first.
        usage: The arguments that are no options, as in "RUN IMAGE...".
        least, most: How many of them there are; None is no limit.
        examples: What follows `python -m rdad.<name>`.
    """

    name: str
    summary: str
    usage: str
    least: int
    most: int | None
    examples: tuple[str, ...]

    def read(self, arguments: Sequence[str]) -> tuple[list[str], DictConfig]:
        """What was named, and the composed options.

        An argument is an option if it reads as key=value and no file has that name.

        Raises:
            ConfigError: too few or too many things are named, or an option is not allowed.
        """
        options = [one for one in arguments if _is_option(one)]
        named = [one for one in arguments if not _is_option(one)]
        dashed = [one for one in named if one.startswith("-") and one != STDIN]
        unknown = [one for one in dashed if not Path(one).exists()]
        if unknown:
            raise ConfigError(f"no such option: {unknown[0]}; options are given as key=value")
        if len(named) < self.least or (self.most is not None and len(named) > self.most):
            found = ", ".join(named) or "nothing"
            raise ConfigError(f"expected {self.usage}; found {found} (--help shows more)")
        return named, _composed(self.name, options)

    def help(self) -> str:
        """The text of `--help`."""
        start = f"python -m rdad.{self.name}"
        examples = "\n".join(f"  {start} {example}" for example in self.examples)
        summary = "\n\n".join(wrapped(part) for part in self.summary.split("\n\n"))
        comments = Comments([CONF_DIR])
        comments.read(self.name)
        options = "\n".join(described(_composed(self.name, [], complete=False), comments))
        return (
            f"{summary}\n\n  {start} {self.usage} [key=value ...]\n\n"
            f"Examples\n{examples}\n\nOptions, with their defaults\n\n{options}"
        )

    def main(
        self, work: Callable[[list[str], DictConfig], int], arguments: Sequence[str] | None = None
    ) -> int:
        """Read the command line, do the work, and give the exit code.

        Bad input (ValueError, OSError) becomes one message and exit code 1; other errors are
        our own faults and keep their traceback.
        """
        arguments = sys.argv[1:] if arguments is None else arguments
        let_print_any_name()
        have_a_home()
        if asks_for_help(arguments):
            with reader_may_leave():
                print(self.help())
            return 0
        to_stderr = logging.StreamHandler()
        to_stderr.setFormatter(
            VisibleFormatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
        )
        logging.basicConfig(level=logging.INFO, handlers=[to_stderr])
        try:
            code = work(*self.read(arguments))
            sys.stdout.flush()
            return code
        except KeyboardInterrupt:
            print(f"rdad.{self.name}: stopped by Ctrl-C", file=sys.stderr)
            return INTERRUPTED
        except BrokenPipeError:  # whoever read the output wants no more of it, as `| head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return BAD_INPUT
        except (OSError, ValueError) as error:
            print(visible(f"rdad.{self.name}: {error}"), file=sys.stderr)
            return BAD_INPUT


def _is_option(argument: str) -> bool:
    return bool(OVERRIDE.match(argument)) and not Path(argument).exists()


def _composed(name: str, overrides: Sequence[str], *, complete: bool = True) -> DictConfig:
    # Hydra takes backbone=x for a choice in the group conf/backbone, which is rdad.train's.
    values = [one for one in overrides if (CONF_DIR / one.partition("=")[0]).is_dir()]
    cfg = composed(name, [literal(one) for one in overrides if one not in values])
    change(cfg, map(literal, values))
    if complete and (missing := sorted(OmegaConf.missing_keys(cfg))):
        raise ConfigError(f"{', '.join(missing)} must be given, as in {missing[0]}=…")
    return cfg
