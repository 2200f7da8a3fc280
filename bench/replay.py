"""Prove that a change of the code changed no program, no cycle and no gate.

In: this working tree and another revision (`--against REV`, default HEAD). Both are recorded with
the recorder below: of every zoo model on every chip at every effort the hash of the Graph, of
the Program's text, and of the timing run (cycles, traffic, counters, every event); of every chip
the hash of its Verilog. Out: a table of what differs; exit code 1 when anything does.

    python -m bench.replay                          # working tree against HEAD
    python -m bench.replay --against REV --models digits --chips nano --efforts 1
    python -m bench.replay --record FILE.json       # write this tree's hashes only
    python -m bench.replay --baseline FILE.json     # compare with hashes kept earlier

The recorder runs in a process of its own with the other tree on PYTHONPATH, and uses only names
that every revision has. A revision is checked out into a temporary folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EFFORTS = (1, 6)  # 6: every plan there is
AT_ONCE = 2
VERILOG = "verilog"  # the job that hashes a chip's Verilog, beside the names of models


def main() -> int:
    """Record both trees, or one and a file; print what differs."""
    arguments = _arguments()
    if arguments.record:
        hashes = record(arguments.models, arguments.chips, arguments.efforts)
        Path(arguments.record).write_text(json.dumps(hashes, indent=1, sort_keys=True) + "\n")
        return 0
    choice = [
        *("--models", *arguments.models), *("--chips", *arguments.chips),
        *("--efforts", *map(str, arguments.efforts)),
    ]  # fmt: skip
    ours = _record_tree(ROOT, choice)
    if arguments.baseline:
        theirs = json.loads(Path(arguments.baseline).read_text())
        theirs = {key: value for key, value in theirs.items() if key in ours}
        name = arguments.baseline
    else:
        with _checked_out(arguments.against) as tree:
            theirs = _record_tree(tree, choice)
        name = arguments.against
    return _tell(ours, theirs, name)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--against", default="HEAD", metavar="REV")
    parser.add_argument("--record", metavar="FILE.json")
    parser.add_argument("--baseline", metavar="FILE.json")
    parser.add_argument("--models", nargs="*", default=[], help="default: all, and the Verilog")
    parser.add_argument("--chips", nargs="*", default=[], help="default: all of the catalogue")
    parser.add_argument("--efforts", nargs="*", type=int, default=list(EFFORTS))
    return parser.parse_args()


def _record_tree(tree: Path, choice: Sequence[str]) -> dict[str, str]:
    """Run the recorder of this file on the package that lies in `tree`."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "hashes.json"
        command = [sys.executable, str(Path(__file__).resolve()), "--record", str(out), *choice]
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        subprocess.run(command, cwd=tree, env=environment, check=True)
        return json.loads(out.read_text())


class _checked_out:
    """A revision as a folder: a temporary work tree of git."""

    def __init__(self, revision: str) -> None:
        self.revision = revision

    def __enter__(self) -> Path:
        self._folder = tempfile.TemporaryDirectory()
        tree = Path(self._folder.name) / "tree"
        command = ["git", "worktree", "add", "--quiet", "--detach", str(tree), self.revision]
        subprocess.run(command, cwd=ROOT, check=True)
        return tree

    def __exit__(self, *_: object) -> None:
        tree = str(Path(self._folder.name) / "tree")
        subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)
        self._folder.cleanup()


def _tell(ours: dict[str, str], theirs: dict[str, str], name: str) -> int:
    differing = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
    for key in differing:
        print(f"differs from {name}: {key}  {theirs.get(key, 'absent')} -> {ours.get(key)}")
    print(f"{len(ours)} hashes recorded, {len(differing)} differ from {name}")
    return int(bool(differing))


# The recorder: from here on, only names that every revision of the package has.


def record(models: Iterable[str], chips: Iterable[str], efforts: Sequence[int]) -> dict[str, str]:
    """Return the hashes of the package on sys.path: key "model/chip/effort/what" -> digest."""
    from jiriki.chip import chip_names
    from jiriki.frontend.zoo import list_models

    models = list(models) or [VERILOG, *(card.name for card in list_models())]
    chips = list(chips) or list(chip_names())
    hashes: dict[str, str] = {}
    with ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(_record_model, model, chips, tuple(efforts)) for model in models]
        for job in jobs:
            hashes |= job.result()
    return hashes


def _record_model(model: str, chips: Sequence[str], efforts: Sequence[int]) -> dict[str, str]:
    from jiriki.chip import load_chip

    if model == VERILOG:
        from jiriki.rtl.tile import Tile

        write = _verilog_writer()
        return {f"{VERILOG}/{chip}": _digest(write(Tile(load_chip(chip)))) for chip in chips}
    graph = _graph(model)
    hashes = {f"{model}/graph": _digest(graph.content_hash())}
    for chip in chips:
        for effort in efforts:
            for what, digest in _record_program(graph, load_chip(chip), effort):
                hashes[f"{model}/{chip}/effort {effort}/{what}"] = digest
            print(f"{model} {chip} effort {effort}", file=sys.stderr, flush=True)
    return hashes


def _graph(model: str) -> Any:  # noqa: ANN401
    """Quantise and import a model of the zoo."""
    import onnx

    from jiriki.frontend import import_onnx, quantise_onnx
    from jiriki.frontend.zoo import load

    entry = load(model)
    quantised = quantise_onnx(onnx.load_from_string(entry.onnx_bytes), entry.calibration())
    return import_onnx(quantised)


def _record_program(graph: Any, chip: Any, effort: int) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    from jiriki.compiler import compile_graph
    from jiriki.program.text import format_program  # the file form has had two versions
    from jiriki.sim.timing import TimingEngine

    try:
        program = compile_graph(graph, chip, effort=effort)
    except Exception as error:  # a refusal is a result too; its words may change
        yield "program", f"refused: {type(error).__name__}"
        return
    run = TimingEngine(chip).run(program, events=True)
    yield "program", _digest(format_program(program))
    counts = (run.cycles, run.dram_read_bytes, run.dram_write_bytes)
    yield "cycles", f"{run.cycles}"
    yield "counts", _digest(repr((counts, run.units, dict(run.layer_cycles))))
    yield "events", _digest(repr(run.events))


def _verilog_writer() -> Any:  # noqa: ANN401
    try:
        from jiriki.rtl.build.verilate import verilog_text
    except ModuleNotFoundError:  # revisions before the second edition
        from jiriki.rtl.verilate import verilog_text  # pyright: ignore[reportMissingImports]
    return verilog_text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
