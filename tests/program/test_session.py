"""A session keeps a program's states from run to run, on every engine that computes values."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jiriki.chip import load_chip
from jiriki.isa.assembly import parse_program
from jiriki.program import Binding, Engine, Entry, Parameter, Program, ProgramError, State
from jiriki.program.file import save
from jiriki.program.stream import work_of
from jiriki.rtl.engine import GatesEngine
from jiriki.sim.errors import SimError
from jiriki.sim.functional import FunctionalEngine
from jiriki.sim.timing import TimingEngine
from tests.small_program import two_entries

NANO = load_chip("nano")
VALUES = [FunctionalEngine, GatesEngine]  # engines whose states have values
BYTES = 64
# `push` writes the input at state + position and gives the whole state; `peek` only gives it.
PUSH = """
PARM.CTL reg=1 index=0
LD.LD sp=0 dram=0 run=8 signal=0:1
ST.ST sp=0 dram=64 areg=1 run=8 wait=0:1 signal=1:1
LD.LD sp=64 dram=64 run=64 wait=1:1 signal=0:1
ST.ST sp=64 dram=128 run=64 wait=0:1
HALT.CTL
"""
PEEK = """
LD.LD sp=64 dram=64 run=64 signal=0:1
ST.ST sp=64 dram=128 run=64 wait=0:1
HALT.CTL
"""


def array(name: str, address: int, size: int) -> Binding:
    return Binding(name, address, (size // 4, 4), 1, "int8", "int8")


@pytest.fixture(scope="module")
def cache() -> Program:
    """A state of 64 bytes that two entries share, and a second of the same form."""
    push, peek = parse_program(PUSH), parse_program(PEEK)
    out = array("all", 128, BYTES)
    return Program(
        "cache", "nano", NANO.content_hash(), (*push, *peek), (), 256,
        (Entry((array("x", 0, 8),), (out,), (Parameter("position", 0, BYTES - 8, 8),), "push"),
         Entry((), (out,), (), "peek", len(push))),
        (State(array("kept", 64, BYTES), bytes(range(BYTES))), State(array("other", 192, BYTES))),
    )  # fmt: skip


def x(value: int) -> dict[str, np.ndarray]:
    return {"x": np.full((2, 4), value, np.int8)}


def rows(run) -> list[int]:
    """Return the first element of every eight bytes of the output."""
    return run.outputs["all"].reshape(-1, 8)[:, 0].tolist()


@pytest.mark.parametrize("engine", VALUES)
def test_a_state_stays_from_run_to_run(cache: Program, engine: type[Engine]) -> None:
    with engine(NANO).load(cache) as session:
        first = session.run(x(100), parameters={"position": 0})
        session.run(x(101), parameters={"position": 8})
        assert rows(first) == [100, 8, 16, 24, 32, 40, 48, 56]
        assert rows(session.run(entry="peek")) == [100, 101, 16, 24, 32, 40, 48, 56]
        assert (first.entry, first.parameters) == ("push", {"position": 0})


@pytest.mark.parametrize("engine", VALUES)
def test_sessions_of_one_program_do_not_mix(cache: Program, engine: type[Engine]) -> None:
    on = engine(NANO)
    with on.load(cache) as first, on.load(cache) as second:
        for turn in range(3):
            first.run(x(turn), parameters={"position": 8 * turn})
            second.run(x(50 + turn), parameters={"position": 8 * turn})
        assert rows(first.run(entry="peek")) == [0, 1, 2, 24, 32, 40, 48, 56]
        assert rows(second.run(entry="peek")) == [50, 51, 52, 24, 32, 40, 48, 56]
        assert first.read("kept")[0, 0] == 0 and second.read("kept")[0, 0] == 50


def test_a_program_is_placed_once_an_engine(cache: Program, monkeypatch) -> None:
    images = []
    image = Program.image
    monkeypatch.setattr(Program, "image", lambda self: images.append(self) or image(self))
    engine = FunctionalEngine(NANO)
    with engine.load(cache), engine.load(replace(cache)) as second:
        second.run(entry="peek")
    assert len(images) == 1
    engine.load(cache).close()
    assert len(images) == 2


def test_a_session_that_is_forgotten_gives_its_place_back(cache: Program) -> None:
    engine = FunctionalEngine(NANO)
    session = engine.load(cache)
    session.run(entry="peek")
    del session
    gc.collect()
    assert not engine._placed


@pytest.mark.parametrize("engine", VALUES)
def test_states_are_read_written_copied_and_dropped(cache: Program, engine: type[Engine]) -> None:
    with engine(NANO).load(cache) as session:
        values = np.arange(BYTES, dtype=np.int8).reshape(16, 4)[::-1].copy()
        session.write("kept", values)
        assert np.array_equal(session.read("kept"), values)
        session.run(x(9), parameters={"position": 0})
        session.copy("kept", "other")
        session.drop("kept")
        assert rows(session.run(entry="peek")) == [0, 8, 16, 24, 32, 40, 48, 56]
        assert session.read("other")[0].tolist() == [9] * 4
        session.drop()
        assert not session.read("other").any()


def test_a_fork_goes_on_from_the_same_states(cache: Program) -> None:
    with FunctionalEngine(NANO).load(cache) as session:
        session.run(x(1), parameters={"position": 0})
        with session.fork() as other:
            other.run(x(2), parameters={"position": 8})
            assert rows(other.run(entry="peek"))[:2] == [1, 2]
        assert rows(session.run(entry="peek"))[:2] == [1, 8]


@pytest.mark.parametrize("engines", [VALUES, VALUES[::-1]])
def test_a_parked_session_goes_on_elsewhere(
    cache: Program, engines: list[type[Engine]], tmp_path: Path
) -> None:
    here, there = engines
    with here(NANO).load(cache) as session:
        session.run(x(7), parameters={"position": 16})
        session.save(tmp_path / "parked.npz")
        stayed = session.run(x(8), parameters={"position": 24})
    with there(NANO).load(cache) as session:
        session.restore(tmp_path / "parked.npz")
        moved = session.run(x(8), parameters={"position": 24})
    assert rows(stayed) == rows(moved) == [0, 8, 7, 8, 32, 40, 48, 56]
    assert [path.name for path in tmp_path.iterdir()] == ["parked.npz"]


def test_another_process_goes_on(cache: Program, tmp_path: Path) -> None:
    save(cache, tmp_path / "cache.jiriki")
    with FunctionalEngine(NANO).load(cache) as session:
        session.run(x(7), parameters={"position": 16})
        session.save(tmp_path / "parked.npz")
    script = (
        "import jiriki; from jiriki.program.file import load; import sys;"
        "p = load(sys.argv[1]); s = jiriki.load_engine('rtl', jiriki.load_chip('nano')).load(p);"
        "s.restore(sys.argv[2]); print(s.run(entry='peek').outputs['all'].reshape(-1, 8)[:, 0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "cache.jiriki", tmp_path / "parked.npz"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["[", "0", "8", "7", "24", "32", "40", "48", "56]"]


def test_gates_take_a_run_s_time_each_time(cache: Program) -> None:
    with GatesEngine(NANO).load(cache) as gates, TimingEngine(NANO).load(cache) as timing:
        for position in (0, 8, 48, 8):
            for entry, inputs in (("push", x(1)), ("peek", {})):
                parameters = {"position": position} if entry == "push" else {}
                on_gates = gates.run(inputs, entry=entry, parameters=parameters, events=True)
                timed = timing.run(inputs, entry=entry, parameters=parameters, events=True)
                assert on_gates.cycles == timed.cycles
                assert list(on_gates.events) == list(timed.events)


def test_a_time_is_computed_once(cache: Program, monkeypatch) -> None:
    with TimingEngine(NANO).load(cache) as session:
        first = session.run(parameters={"position": 8})
        monkeypatch.setattr("jiriki.sim.timing.engine.work_of", None)
        assert session.run(parameters={"position": 8}).cycles == first.cycles


def test_a_stream_is_resolved_once(cache: Program, monkeypatch) -> None:
    resolved = []
    monkeypatch.setattr(
        "jiriki.sim.functional.work_of",
        lambda *values, **named: resolved.append(named) or work_of(*values, **named),
    )
    with FunctionalEngine(NANO).load(cache) as session:
        for position in (0, 8, 16, 24, 32, 32, 24, 0):  # the last one's is no longer kept
            session.run(x(position), parameters={"position": position})
        assert len(resolved) == 6
        assert rows(session.run(entry="peek")) == [0, 8, 16, 24, 32, 40, 48, 56]


@pytest.mark.parametrize("engine", [FunctionalEngine, TimingEngine, GatesEngine])
@pytest.mark.parametrize(
    ("entry", "parameters", "line"),
    [
        ("push", {"position": 4}, r"position = 4 is outside 0\.\.56 in steps of 8"),
        ("push", {"position": 64}, r"position = 64 is outside 0\.\.56 in steps of 8"),
        ("push", {"position": -8}, "position = -8 is outside"),
        ("push", {}, "host parameter position is missing"),
        ("peek", {"position": 0}, "has no input position at entry peek; its inputs are none"),
        ("pop", {}, "has no entry pop; its entries are push, peek"),
    ],
)
def test_every_engine_refuses_before_the_run(cache, engine, entry, parameters, line) -> None:
    inputs = x(1) if entry == "push" else {}
    with engine(NANO).load(cache) as session, pytest.raises(ProgramError, match=line):
        session.run(inputs, entry=entry, parameters=parameters)


def test_a_name_stands_in_inputs_or_in_parameters(cache: Program) -> None:
    with FunctionalEngine(NANO).load(cache) as session:
        with pytest.raises(ProgramError, match="position stands in inputs and in parameters"):
            session.run(x(1) | {"position": 8}, parameters={"position": 8})
        assert rows(session.run(x(1) | {"position": 8}))[1] == 1


@pytest.mark.parametrize(
    ("act", "line"),
    [
        (lambda s, p: s.read("lost"), "has no state lost; its states are kept, other"),
        (lambda s, p: s.write("kept", np.zeros(3, np.int8)), r"shape \(3,\) is not \(16, 4\)"),
        (lambda s, p: s.run({}, entry="peek", speed=3), "no option speed; its options are none"),
        (lambda s, p: s.restore(p / "absent.npz"), "absent.npz: No such file"),
        (lambda s, p: s.restore(p / "text.npz"), "text.npz is no saved session"),
        (lambda s, p: s.restore(p / "array.npy"), "array.npy is no saved session"),
        (lambda s, p: s.restore(p / "large.npz"), r"bytes where the states are 128\)"),
        (lambda s, p: s.restore(p / "short.npz"), r"state kept is uint8\[3\], not 64 bytes"),
        (lambda s, p: s.restore(p / "few.npz"), "few.npz holds program, not the states of cache"),
        (lambda s, p: s.restore(p / "foreign.npz"), "holds states of another program"),
        (lambda s, p: s.save(p / "text.npz" / "inside.npz"), "cannot write .*inside.npz"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_and_changes_nothing(
    cache: Program, tmp_path: Path, act, line: str
) -> None:
    digest = np.frombuffer(bytes.fromhex(cache.content_hash()), np.uint8)
    states = {f"state.{name}": np.zeros(BYTES, np.uint8) for name in ("kept", "other")}
    (tmp_path / "text.npz").write_text("no archive")
    np.save(tmp_path / "array.npy", digest)
    np.savez_compressed(tmp_path / "large.npz", program=np.zeros(1 << 22, np.uint8))
    short = {"program": digest, **states, "state.kept": np.zeros(3, np.uint8)}
    np.savez(tmp_path / "short.npz", allow_pickle=False, **short)
    np.savez(tmp_path / "few.npz", program=digest)
    np.savez(tmp_path / "foreign.npz", allow_pickle=False, program=digest[::-1], **states)
    with FunctionalEngine(NANO).load(cache) as session:
        session.run(x(5), parameters={"position": 0})
        with pytest.raises(ProgramError, match=line) as caught:
            act(session, tmp_path)
        assert "\n" not in str(caught.value)
        assert rows(session.run(entry="peek"))[:2] == [5, 8]


def test_states_of_other_forms_are_not_copied(program) -> None:
    whole = two_entries(program)
    wide = State(replace(whole.states[0].binding, name="wide", dtype="uint8", external="uint8"))
    whole = replace(whole, states=(*whole.states, replace(wide, initial=b"")))
    moved = replace(whole.states[1].binding, address=272)
    whole = replace(whole, states=(whole.states[0], State(moved)), dram_bytes=280)
    with FunctionalEngine(NANO).load(whole) as session, pytest.raises(ProgramError) as caught:
        session.copy("kept", "wide")
    assert "state wide is uint8[2, 4], state kept int8[2, 4]" in str(caught.value)


def test_time_has_no_states(cache: Program, tmp_path: Path) -> None:
    with TimingEngine(NANO).load(cache) as session:
        for act in (
            lambda: session.read("kept"), lambda: session.drop(),
            lambda: session.save(tmp_path / "s.npz"),
        ):  # fmt: skip
            with pytest.raises(ProgramError, match="engine timing computes no values"):
                act()


def test_a_closed_session_says_so(cache: Program) -> None:
    session = FunctionalEngine(NANO).load(cache)
    session.close()
    session.close()
    assert repr(session) == "<Session closed, functional; cache; states kept, other>"
    for act in (lambda: session.run(entry="peek"), lambda: session.read("kept")):
        with pytest.raises(ProgramError, match="the session of cache is closed; load it again"):
            act()


def test_after_a_run_that_failed_the_states_are_lost_until_they_are_set(
    cache: Program, tmp_path: Path
) -> None:
    far = parse_program(PUSH.replace("dram=64 areg=1", "dram=999999 areg=1"))
    broken = replace(
        cache, instructions=(*cache.instructions, *far),
        entries=(*cache.entries, replace(cache.entries[0], name="far", first=9)),
    )  # fmt: skip
    engine = FunctionalEngine(NANO)
    with engine.load(broken) as session, engine.load(broken) as neighbour:
        neighbour.run(x(3), parameters={"position": 0})
        session.run(x(4), parameters={"position": 0})
        session.save(tmp_path / "before.npz")
        with pytest.raises(SimError, match="lie outside"):
            session.run(x(1), entry="far", parameters={"position": 0})
        for act in (lambda: session.run(entry="peek"), lambda: session.read("kept")):
            with pytest.raises(ProgramError, match=r"lost, since a run failed .*lie outside"):
                act()
        assert rows(neighbour.run(entry="peek"))[0] == 3
        session.restore(tmp_path / "before.npz")
        assert rows(session.run(entry="peek"))[0] == 4


def test_threads_take_turns(cache: Program) -> None:
    engine, seen = FunctionalEngine(NANO), {}

    def talk(number: int) -> None:
        with engine.load(cache) as session:
            for turn in range(8):
                run = session.run(x(10 * number + turn), parameters={"position": 8 * turn})
            seen[number] = rows(run)

    threads = [threading.Thread(target=talk, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {n: [10 * n + turn for turn in range(8)] for n in range(4)}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"states": "twice"}, "kept names two states"),
        ({"states": "over"}, "input x and state kept share DRAM byte 0"),
        ({"states": "outside"}, "state kept at DRAM bytes 240..303 lies outside the image"),
        ({"states": "part"}, "state kept: 3 bytes of first contents, and it has 64"),
        ({"entries": "twice"}, "push names two entries"),
    ],
)
def test_a_program_whose_states_or_entries_clash_is_refused(cache, change, line) -> None:
    (cached, other), (push, peek) = cache.states, cache.entries
    ((what, how),) = change.items()
    states = {
        "twice": (cached, replace(other, binding=replace(other.binding, name="kept"))),
        "over": (replace(cached, binding=replace(cached.binding, address=0)),),
        "outside": (replace(cached, binding=replace(cached.binding, address=240)),),
        "part": (replace(cached, initial=b"abc"),),
    }  # fmt: skip
    wrong = (
        replace(cache, states=states[how]) if what == "states"
        else replace(cache, entries=(push, replace(peek, name="push")))
    )  # fmt: skip
    with pytest.raises(ProgramError, match=line):
        FunctionalEngine(NANO).load(wrong)
