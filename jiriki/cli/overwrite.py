"""Outputs never replace inputs: refused before the work begins.

In: what the arguments of a command read and write. Out: nothing, or a CliError. Files are the same
whatever their paths say: links are followed. The data files of an ONNX model are inputs too.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from jiriki.cli.errors import CliError


def keep_inputs(inputs: Iterable[str | Path | None], outputs: Iterable[str | Path | None]) -> None:
    """Refuse an output that is the file of an input; names of catalogues are no files."""
    read = [Path(name) for name in inputs if name is not None and Path(name).is_file()]
    for output in outputs:
        if output is None or not Path(output).is_file():
            continue
        for path in read:
            _refuse(Path(output), path, path)
            for data in _data_files(path):
                _refuse(Path(output), data, path)


def _refuse(output: Path, path: Path, source: Path) -> None:
    if path.is_file() and output.samefile(path):
        of = "" if path == source else f" of {source}"
        raise CliError(
            f"output {output} would replace input {path}{of}; name another file for the output"
        )


def _data_files(path: Path) -> Iterator[Path]:
    """Yield the files beside an ONNX model that hold its weights."""
    if path.suffix != ".onnx":
        return
    from jiriki.frontend.onnx.external_data import external_files

    yield from external_files(path)
