"""Where a page comes from: the version, the command, the date, the programs.

In: the words of the command, the environment. Out: an `Origin`. Equal runs write equal bytes, so a
page carries no time of day: its date is that of SOURCE_DATE_EPOCH (seconds since 1970, as
https://reproducible-builds.org defines it), and a page without it is undated.
"""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from jiriki.report.errors import ReportError
from jiriki.version import __version__

EPOCH = "SOURCE_DATE_EPOCH"


@dataclass(frozen=True, slots=True)
class Origin:
    """What the foot of a page says."""

    command: str = ""
    date: str = ""  # ISO; "": undated
    version: str = __version__
    facts: tuple[tuple[str, str], ...] = ()  # such as ("program on nano", its hash)

    def with_facts(self, *facts: tuple[str, str]) -> "Origin":
        return replace(self, facts=(*self.facts, *facts))

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return what is known, as names and values."""
        undated = f"none, so that equal runs give equal bytes; {EPOCH} sets one"
        return (
            ("made by", f"jiriki {self.version}"),
            *((("command", self.command),) if self.command else ()),
            *self.facts,
            ("date", self.date or undated),
        )


def origin_of(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Origin:
    """Return the origin of a page that a command writes; `arguments` as in `sys.argv`.

    Raises ReportError when SOURCE_DATE_EPOCH is no number of seconds.
    """
    stamp = (os.environ if environment is None else environment).get(EPOCH, "")
    return Origin(shlex.join(("jiriki", *arguments[1:])), _day(stamp) if stamp else "")


def _day(stamp: str) -> str:
    try:
        return datetime.fromtimestamp(int(stamp), UTC).date().isoformat()
    except (ValueError, OverflowError, OSError) as error:
        raise ReportError(
            f"{EPOCH} = {stamp!r} is no number of seconds since 1970; unset it, or set it to one "
            "such as 1767225600"
        ) from error
