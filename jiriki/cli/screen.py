"""Where a command writes: its result on standard output, its progress on standard error.

In: a result as a JSON object and as something to render. Out: exactly one object with --json, else
text. Every object says which version printed it and the schema of its fields, such as `run/1`: the
number rises when a field goes or changes its meaning. Progress is shown on a terminal only.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from jiriki.version import __version__

_Item = TypeVar("_Item")
WIDE = 120  # columns when standard output is a file or a pipe
SCHEMA = 1  # of every command's object and of errors


def json_text(schema: str, payload: Mapping[str, Any]) -> str:
    """Return one JSON object: version and schema, then the payload's fields."""
    head = {"jiriki": __version__, "schema": f"{schema}/{SCHEMA}"}
    return json.dumps(head | dict(payload), allow_nan=False)


def wrapped(text: str, width: int) -> str:
    """Break lines at spaces only: a path that is longer than a line can still be copied whole."""
    return "\n".join(_lines(text, width))


def _lines(text: str, width: int) -> Iterator[str]:
    for line in text.split("\n"):
        held = ""
        for word in re.findall(r" *[^ ]+", line):  # with the blanks before it
            if held.strip() and cell_len(held + word) > width:
                yield held
                held = word.lstrip(" ")
            else:
                held += word
        yield held


class _Rate(ProgressColumn):
    """How many items a second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.2f}/s")


class Screen:
    """The two streams of one command."""

    def __init__(self, command: str, as_json: bool) -> None:
        self.command = command
        self.as_json = as_json
        terminal = Console(highlight=False)
        self.out = terminal if terminal.is_terminal else Console(highlight=False, width=WIDE)
        self.err = Console(stderr=True, highlight=False)

    def result(
        self, payload: Mapping[str, Any], render: Callable[[], Iterable[RenderableType]]
    ) -> None:
        """Print the result: the object with --json, else what `render` yields."""
        if self.as_json:
            print(json_text(self.command, payload))
            return
        for part in render():
            if isinstance(part, str):
                self.out.print(Text(wrapped(part, self.out.width)), soft_wrap=True)
            else:
                self.out.print(part)

    @contextmanager
    def step(self, label: str) -> Iterator[Callable[[str], None]]:
        """Show that something of unknown length is under way; yields a function for details."""
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False))
        with Progress(*columns, TimeElapsedColumn(), **self._options()) as progress:
            task = progress.add_task(label, total=None)
            yield lambda detail: progress.update(task, description=f"{label}: {detail}")

    @contextmanager
    def progress(self, label: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        """Show a bar with rate and time left; yields a function that takes what is done so far."""
        columns = (
            TextColumn("{task.description}", markup=False), BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} " + unit), _Rate(),
            TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, **self._options()) as progress:
            task = progress.add_task(label, total=total)
            yield lambda done: progress.update(task, completed=done)

    def each(self, label: str, items: Sequence[_Item]) -> Iterator[_Item]:
        """Yield the items while a bar with rate and time left moves."""
        columns = (
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
            _Rate(), TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, **self._options()) as progress:
            yield from progress.track(items, description=label)

    def _options(self) -> dict[str, Any]:
        return {
            "console": self.err,
            "transient": True,
            "disable": not self.err.is_terminal,
        }
