"""Commands as typer makes them, but for two habits of it.

In: commands of typer. Out: the same, whose `--help` shows `[samples, ...]`; typer would take it for
a style and drop it. An EOFError inside a command is a fault; typer would call it an interruption.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.markup import escape
from typer.core import TyperCommand, TyperGroup


class LiteralCommand(TyperCommand):
    """A command with literal help texts, whose faults are told."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 (typer hides the types)
        """Run it. No command reads a terminal, so that a file ended too soon, not the input."""
        try:
            return super().invoke(ctx)
        except EOFError as error:
            raise RuntimeError(f"EOFError: {error}") from error

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 (typer hides the types)
        with _escaped(self, *self.params):
            super().format_help(ctx, formatter)


class LiteralGroup(TyperGroup):
    """A group of commands with literal help texts."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 (typer hides the types)
        with _escaped(self, *self.params, *self.commands.values()):
            super().format_help(ctx, formatter)


@contextmanager
def _escaped(*parts: Any) -> Iterator[None]:  # noqa: ANN401
    """Escape the markup in the help texts of commands and parameters while they are printed."""
    texts = {part: part.help for part in parts if getattr(part, "help", None)}
    for part, text in texts.items():
        part.help = escape(text)
    try:
        yield
    finally:
        for part, text in texts.items():
            part.help = text
