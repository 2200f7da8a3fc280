"""Sweeps: grids, rows that are kept, the front against its definition, a killed sweep."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jiriki.chip import load_chip
from jiriki.compiler import compile_graph
from jiriki.plan.errors import PlanError
from jiriki.plan.sweep import Row, Task, candidates, pareto_front, parse_vary, read_grid, sweep
from jiriki.plan.sweep.page import refused_sheet, rows_sheet, sweep_page
from jiriki.plan.sweep.workers import ROOMS
from jiriki.report.origin import Origin
from jiriki.sim.timing import TimingEngine
from tests.graph.graphs import conv_graph
from tests.report.harness import faults

NANO = load_chip("nano")


def row(latency_s: float, area: float, energy: float) -> Row:
    ends = (area / 2, area, area * 2), (energy / 2, energy, energy * 2)
    return Row({"mu": latency_s}, "", 1, latency_s, 0.5, 0, *ends)


def test_every_combination_is_a_chip_or_the_rule_that_it_breaks() -> None:
    grid = parse_vary(["mu=4,5", "clock_hz=1e9"])
    good, bad = candidates(NANO, grid)
    assert good.chip == replace(NANO, name="nano-0", summary="", mu=4, clock_hz=1e9)
    assert (bad.chip, bad.values["mu"]) == (None, 5)
    assert bad.refused == "mu = 5 must be a power of two"


def test_a_toml_gives_the_same_grid_as_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text('mu = [4, 8]\nvx_stages = ["AAF", "AAAAFA"]\nclock_hz = [5.5e8]\n')
    assert read_grid(path) == parse_vary(["mu=4,8", "vx_stages=AAF,AAAAFA", "clock_hz=5.5e8"])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["mu"], "write FIELD=V,V"), (["mu=4,"], "write FIELD=V,V"), (["size=4"], "no size"),
        (["name=a,b"], "no size"), (["mu=4", "mu=8"], "varied twice"), (["mu=4,4"], "each once"),
        ([f"mu={','.join(map(str, range(101)))}", f"nu={','.join(map(str, range(101)))}"],
         "10,201 combinations"),
    ],
)  # fmt: skip
def test_what_is_no_grid_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        parse_vary(texts)


@pytest.mark.parametrize("text", ["mu", "mu = 4", "mu = []", "mu = [[4]]", "[mu]\na = [4]", "\x00"])
def test_a_toml_that_is_no_grid_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    with pytest.raises(PlanError):
        read_grid(path)


def test_the_front_is_what_none_beats() -> None:
    rows = [row(*aims) for aims in np.random.default_rng(3).integers(1, 9, (60, 3)).tolist()]
    front = pareto_front([*rows, Row({}, "refused")])
    aims = [(r.latency_s, r.area_mm2[1], r.energy_j[1]) for r in rows]
    beaten = [any(all(np.less_equal(b, a)) and b != a for b in aims) for a in aims]
    assert sorted(map(id, front)) == sorted(
        id(r) for r, no in zip(rows, beaten, strict=True) if not no
    )
    assert [r.latency_s for r in front] == sorted(r.latency_s for r in front)


def a_sweep(folder: Path, jobs: int = 1) -> tuple[list[Row], list[int]]:
    task, progress = Task(conv_graph(np.random.default_rng(0)), 1, "14nm", folder), []
    chosen = list(candidates(NANO, parse_vary(["mu=4,8,5", "scratchpad_bytes=65536,131072"])))
    return sweep(task, chosen, jobs, progress.append), progress


def test_rows_are_what_compiler_and_timing_say_of_each_chip(tmp_path: Path) -> None:
    rows, _ = a_sweep(tmp_path)
    graph = conv_graph(np.random.default_rng(0))
    for measured in rows[:4]:
        chip = replace(NANO, **measured.values)  # type: ignore[arg-type]
        assert measured.cycles == TimingEngine(chip).run(compile_graph(graph, chip), {}).cycles
    assert [measured.refused for measured in rows[4:]] == ["mu = 5 must be a power of two"] * 2


def test_a_sweep_goes_on_from_the_rows_that_are_there(tmp_path: Path) -> None:
    rows, progress = a_sweep(tmp_path)
    assert progress[0] == 0 and progress[-1] == 6
    files = sorted(tmp_path.iterdir())
    assert len(files) == 4
    files[0].write_text("{")  # of a machine that lost power
    stamps = {file: file.stat().st_mtime_ns for file in files}
    again, progress = a_sweep(tmp_path)
    assert (again, progress[0]) == (rows, 3)
    assert [file.stat().st_mtime_ns == stamps[file] for file in files] == [False, True, True, True]


def test_rows_of_another_compiler_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, _ = a_sweep(tmp_path)
    monkeypatch.setattr("jiriki.plan.sweep.rows.sources_hash", lambda rooms: f"other {rooms}")
    again, progress = a_sweep(tmp_path)
    assert (again, progress[0], len(list(tmp_path.iterdir()))) == (rows, 0, 8)


def test_a_row_is_named_by_every_room_that_makes_it() -> None:
    words = "import sys, jiriki.plan.sweep.measure; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    rooms = {name.split(".")[1] for name in done.stdout.split() if name.startswith("jiriki.")}
    named = {room.split("/")[0].removesuffix(".py") for room in ROOMS}
    assert rooms - named == {"errors", "files", "version"}  # decide no figure of a row


def test_two_processes_give_the_rows_of_one(tmp_path: Path) -> None:
    assert a_sweep(tmp_path / "one")[0] == a_sweep(tmp_path / "two", jobs=2)[0]


def test_a_killed_sweep_goes_on(tmp_path: Path) -> None:
    grid = ["--vary", "mu=1,2,4,8", "--vary", "acc_rows=256,512,1024", "--vary", "banks=2,4,8"]
    words = [sys.executable, "-m", "jiriki.cli", "sweep", str(tmp_path / "qdq.onnx"), "--chip",
             "nano", *grid, "--out", str(tmp_path / "out"), "--jobs", "1", "--json"]  # fmt: skip
    small_model(tmp_path / "qdq.onnx")
    began = subprocess.Popen(words, stdout=subprocess.PIPE)
    rows = tmp_path / "out" / "rows"
    deadline = time.monotonic() + 120
    while not (rows.is_dir() and any(rows.glob("*.json"))) and time.monotonic() < deadline:
        time.sleep(0.02)
    began.send_signal(signal.SIGKILL)
    began.wait()
    before = {file: file.stat().st_mtime_ns for file in rows.glob("*.json")}
    done = subprocess.run(words, capture_output=True, check=True, env=os.environ)
    shown = json.loads(done.stdout)
    assert before and all(file.stat().st_mtime_ns == stamp for file, stamp in before.items())
    assert len(shown["rows"]) == 36 and done.stderr == b""
    assert len(before) < len([row for row in shown["rows"] if not row["refused"]])


def small_model(path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    from jiriki.frontend import quantise_onnx

    shape = (1, 3, 9, 11)
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])], "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    sample = np.random.default_rng(5).normal(0, 1, shape).astype(np.float32)
    onnx.save(quantise_onnx(model, [{"x": sample}]), path)


def test_page_and_tables_show_front_and_refusals() -> None:
    rows = [row(1e-6, 2, 3e-9), row(2e-6, 1, 3e-9), row(3e-6, 3, 4e-9), Row({"mu": 5}, "a rule")]
    assert [line[0] for line in rows_sheet("t", pareto_front(rows)).rows] == ["1e-06", "2e-06"]
    sheet = refused_sheet(rows)
    assert sheet is not None and sheet.rows == (("a rule", "1"),)
    page = sweep_page("net", "14nm", rows, Origin())
    assert page == sweep_page("net", "14nm", rows, Origin())
    assert all(text in page for text in ("Area against latency", "a rule", "2 µs"))
    assert faults(page) == []
