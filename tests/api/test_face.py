"""The face of the package: light to import, typed, documented by examples, short to print."""

from __future__ import annotations

import doctest
import html.parser
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import jiriki
from jiriki.models import Model

PACKAGE = Path(jiriki.__file__).parent
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
USER = """import jiriki
import numpy as np

program = jiriki.compile("small.onnx", chip="nano", calibration=[{"x": np.zeros(4)}])
run = jiriki.run(program, {"x": np.zeros(4)}, engine="timing")
reveal_type(program)
reveal_type(run.cycles)
reveal_type(jiriki.profile(program).latency_s)
reveal_type(jiriki.verify(program).agrees)
jiriki.compile(3.5)
jiriki.decompile(program)
"""


@pytest.mark.parametrize("name", jiriki.__all__)
def test_examples_of_a_name_are_true(name: str):
    value = getattr(jiriki, name)
    finder = doctest.DocTestFinder(recurse=False)
    tests = [test for test in finder.find(value, name, globs={}) if test.examples]
    assert tests, f"jiriki.{name} has no example"
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    failed = sum(runner.run(test, out=report.append, clear_globs=False).failed for test in tests)
    assert failed == 0, "".join(report)


def test_importing_loads_no_room():
    heavy = ("numpy", "numba", "onnx", "onnxruntime", "plotly", "jiriki.api")
    code = f"import jiriki, sys; dir(jiriki); print([m for m in {heavy} if m in sys.modules])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_stay_the_face_s_when_every_room_is_imported():
    import jiriki.cli.app

    assert callable(jiriki.verify) and callable(jiriki.compile) and callable(jiriki.run)
    assert set(jiriki.__all__) <= set(dir(jiriki))
    with pytest.raises(AttributeError, match="no attribute 'decompile'"):
        jiriki.decompile  # type: ignore[attr-defined]  # noqa: B018


def test_a_user_s_type_checker_sees_the_types(tmp_path: Path):
    (tmp_path / "user.py").write_text(USER)
    command = [
        sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable,
        str(tmp_path / "user.py"),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    diagnostics = [
        (entry["range"]["start"]["line"] + 1, entry["message"].splitlines()[0])
        for entry in json.loads(done.stdout)["generalDiagnostics"]
    ]
    types = {6: "Program", 7: "int | None", 8: "float", 9: "bool"}
    for line, name in types.items():
        assert any(at == line and f'is "{name}"' in text for at, text in diagnostics), diagnostics
    assert any(
        at == 10 and 'cannot be assigned to parameter "model"' in text for at, text in diagnostics
    )
    assert any(at == 11 and '"decompile"' in text for at, text in diagnostics)
    assert {at for at, _ in diagnostics} == {*types, 10, 11}
    assert (PACKAGE / "py.typed").is_file()


def test_every_document_prints_as_one_short_line(digits: Model, program: jiriki.Program):
    profile = jiriki.profile(program)
    run = jiriki.run(program, engine="timing")
    for value in (digits, digits.graph(), program, run, profile, jiriki.load_chip("e256")):
        assert len(repr(value)) < 250 and "\n" not in repr(value)
        assert repr(value).startswith(f"<{type(value).__name__} ")


class Tags(html.parser.HTMLParser):
    """Keeps the tags, and holds that each is closed in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_notebooks_show_plain_escaped_tables(program: jiriki.Program, image: np.ndarray):
    hostile = "<script>alert(1)</script>"
    run = replace(jiriki.run(program, image), outputs={hostile: image}, parameters={hostile: 3})
    profile = replace(jiriki.profile(program), model=hostile)
    timed = jiriki.run(program, engine="timing")
    for page in (run._repr_html_(), timed._repr_html_(), profile._repr_html_()):
        tags = Tags()
        tags.feed(page)
        assert tags.seen <= {"table", "caption", "tr", "th", "td"} and not tags.open
        assert "http" not in page and "#" not in page and "background" not in page
        assert len(page) < 20_000
    assert f"{timed.cycles:,}" in timed._repr_html_()
    assert "float32[1, 1, 8, 8]" in run._repr_html_()
