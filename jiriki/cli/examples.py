"""`jiriki examples`: the inputs that the tutorials use, listed or written into a folder.

In: a folder, or none. Out: the files; what is in the folder already stays.
"""

from importlib.resources import files
from pathlib import Path

from jiriki.cli.errors import CliError
from jiriki.cli.screen import Screen
from jiriki.examples import EXAMPLES
from jiriki.files import write_text
from jiriki.report.tables import Sheet, rich_table


def examples(out: Path | None, as_json: bool) -> None:
    """List the examples, or write them."""
    screen = Screen("examples", as_json)
    if out is not None:
        for name in EXAMPLES:
            _write(out / name, files("jiriki.examples").joinpath(name).read_text("utf-8"))
    payload = {
        "examples": [{"name": name, "summary": what} for name, what in EXAMPLES.items()],
        "files": [str(out / name) for name in EXAMPLES] if out else [],
    }
    sheet = Sheet("examples", ("file", "what it is"), tuple(EXAMPLES.items()))
    screen.result(payload, lambda: [rich_table(sheet), *payload["files"]])


def _write(path: Path, text: str) -> None:
    """Write one file. Raises CliError when another is there already."""
    if not path.exists():
        write_text(path, text)
    elif not path.is_file() or path.read_bytes() != text.encode():
        raise CliError(f"{path} is there already and holds something else; name another folder")
