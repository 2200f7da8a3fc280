"""Session: a Program on an engine, run as often as wanted, with states that stay.

An engine lays a program into its memory once: that is a *placement*, shared by all sessions of the
program on that engine. A session holds the program's states. Those of one session lie in the
engine's memory; the others' are parked on the host, and change places when their session runs.
In: an engine and a program. Out: Runs, states as arrays, files that another session of the same
program takes up again, on any engine that computes values.
"""

from __future__ import annotations

import time
import weakref
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from threading import RLock
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jiriki.chip.config import ChipConfig
from jiriki.files import FileError, whole_file
from jiriki.program.binding import binding_bytes, pack, unpack
from jiriki.program.errors import ProgramError
from jiriki.program.host import (
    Inputs,
    Parameters,
    check_placement,
    host_values,
    packed_inputs,
)
from jiriki.program.program import Binding, Entry, Program, State
from jiriki.program.run import Run

PROGRAM_KEY, STATE_KEY = "program", "state."  # of the arrays in a file of states
HEADERS_BYTES = 1 << 20  # more than the heads of all arrays in a file
Bytes = NDArray[np.uint8]


class Placement(ABC):
    """A program in an engine's memory, ready to start at any of its entries."""

    computes_values: ClassVar[bool] = True  # False: there are no inputs, outputs and states
    options: ClassVar[tuple[str, ...]] = ()  # that `start` takes

    def __init__(self, program: Program, chip: ChipConfig) -> None:
        self.program, self.chip = program, chip
        self.lock = RLock()
        self.sessions = 0
        self.resident: weakref.ref[Session] | None = None  # whose states lie in memory

    @abstractmethod
    def start(self, entry: Entry, parameters: Parameters, **options: Any) -> Run:  # noqa: ANN401
        """Run an entry to its HALT; return what is known but the outputs."""

    def write(self, address: int, data: Bytes) -> None:
        """Write bytes of DRAM."""
        raise NotImplementedError

    def read(self, address: int, size: int) -> Bytes:
        """Return a copy of bytes of DRAM."""
        raise NotImplementedError

    def close(self) -> None:  # noqa: B027 (most engines have nothing to give back)
        """Give the memory back."""

    def move_out(self) -> None:
        """Park the states that lie in memory on the host."""
        if self.resident is not None and (session := self.resident()) is not None:
            session.move_out()
        self.resident = None


class Engine(ABC):
    """Anything that runs a Program: a simulator, gates, a board, a remote chip.

    An engine says how it places a program; sessions and single runs follow from that.
    """

    name: ClassVar[str]

    def __init__(self, chip: ChipConfig) -> None:
        self.chip = chip
        self._placed: dict[str, Placement] = {}
        self.lock = RLock()

    @abstractmethod
    def place(self, program: Program) -> Placement:
        """Lay a program, checked before, into memory."""

    def load(self, program: Program) -> Session:
        """Return a new session, whose states hold their first contents.

        The first session of a program places it; the others share its constants. Raises
        ProgramError for a program of another chip or one that does not fit.
        """
        check_placement(program, self.chip)
        key = program.content_hash()
        with self.lock:
            placement = self._placed.get(key)
            if placement is None:
                placement = self._placed[key] = self.place(program)
            placement.sessions += 1
        return Session(self, placement)

    def run(
        self,
        program: Program,
        inputs: Inputs | None = None,
        *,
        entry: str | None = None,
        parameters: Inputs | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Run:
        """Return what a new session's only run gives; see `Session.run`."""
        began = time.perf_counter()
        with self.load(program) as session:
            run = session.run(inputs, entry=entry, parameters=parameters, **options)
        return replace(run, wall_s=time.perf_counter() - began)

    def release(self, placement: Placement) -> None:
        """Count one session less; the last one gives the memory back."""
        with self.lock:
            placement.sessions -= 1
            if placement.sessions == 0:
                del self._placed[placement.program.content_hash()]
                placement.close()


class Session:
    """A program on an engine. Use it as a context manager, or `close` it.

    >>> import jiriki
    >>> program, chip = jiriki.compile("digits", chip="nano"), jiriki.load_chip("nano")
    >>> with jiriki.load_engine("timing", chip).load(program) as session:
    ...     session.run().cycles == session.run().cycles
    True
    """

    def __init__(self, engine: Engine, placement: Placement) -> None:
        self.engine = engine.name
        self.program = placement.program
        self._chip = placement.chip
        self._owner, self._placement = engine, placement
        self._release = weakref.finalize(self, engine.release, placement)
        self._lost = ""  # why the states are not known
        # The states while another session's lie in memory; None: first contents.
        self._parked: dict[str, Bytes | None] = dict.fromkeys(s.name for s in self.program.states)

    def __repr__(self) -> str:
        """Return one line."""
        states = ", ".join(state.name for state in self.program.states)
        closed = "" if self._release.alive else "closed, "
        return f"<Session {closed}{self.engine}; {self.program.name}; states {states or 'none'}>"

    def run(
        self,
        inputs: Inputs | None = None,
        *,
        entry: str | None = None,
        parameters: Inputs | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Run:
        """Run one entry of the program on the session's states.

        - `inputs`: an array for each input of the entry, by name, in the shapes and types that
          `program.entry(name).inputs` states. An engine without values needs none.
        - `entry`: its name; without, the program's first.
        - `parameters`: an integer for each host parameter of the entry, by name.
        - `options`: of the engine; `events=True` asks for every instruction's life.

        Raises ProgramError for what is not the program's, and what the engine raises for a program
        that does not end; then the states are lost, until they are restored, written or dropped.
        """
        began = time.perf_counter()
        placement = self._open()
        started = self.program.entry(entry)
        if unknown := sorted(options.keys() - set(placement.options)):
            raise ProgramError(
                f"engine {self.engine} has no option {unknown[0]}; its options are "
                f"{', '.join(placement.options) or 'none'}"
            )
        arrays, integers = host_values(
            self.program, started, inputs, parameters, arrays=placement.computes_values
        )
        data = packed_inputs(started, arrays, self._chip) if placement.computes_values else []
        with placement.lock:
            self._move_in()
            for address, part in data:
                placement.write(address, part)
            try:
                run = placement.start(started, integers, **options)
            except BaseException as error:
                if self.program.states and placement.computes_values:
                    self._lose(error)
                raise
            outputs = self._outputs(started) if placement.computes_values else None
        return replace(
            run, entry=started.name, parameters=integers, outputs=outputs,
            wall_s=time.perf_counter() - began,
        )  # fmt: skip

    def read(self, state: str) -> NDArray:
        """Return a state as the array of its binding. Raises ProgramError."""
        binding = self.program.state(state).binding
        return unpack(binding, self._bytes(self.program.state(state)), self._chip.ku)

    def write(self, state: str, array: ArrayLike) -> None:
        """Set a state. Raises ProgramError for a name, shape or type that is not the program's."""
        binding = self.program.state(state).binding
        self._set({state: pack(binding, np.asarray(array), self._chip.ku)})

    def copy(self, source: str, target: str) -> None:
        """Set one state to the contents of another of the same form.

        Raises ProgramError when they differ in shape or type.
        """
        origin, goal = self.program.state(source), self.program.state(target)
        if _form(origin) != _form(goal):
            raise ProgramError(
                f"state {target} is {_described(goal)}, state {source} {_described(origin)}; copy "
                "between states of one form"
            )
        self._set({target: self._bytes(origin)})

    def drop(self, state: str | None = None) -> None:
        """Set a state, or all of them, to the first contents."""
        states = self.program.states if state is None else (self.program.state(state),)
        self._set({each.name: None for each in states})

    def fork(self) -> Session:
        """Return another session on the same engine that goes on from the same states."""
        contents = {state.name: self._bytes(state) for state in self.program.states}
        other = self._owner.load(self.program)
        other._set(contents)
        return other

    def save(self, path: str | PathLike[str]) -> Path:
        """Write all states to an .npz, as the bytes of DRAM. It is whole or absent.

        Raises ProgramError when it cannot be written, or the states are not known.
        """
        arrays = {STATE_KEY + s.name: self._bytes(s) for s in self.program.states}
        digest = np.frombuffer(bytes.fromhex(self.program.content_hash()), np.uint8)
        try:
            with whole_file(Path(path)) as file:
                np.savez(file, allow_pickle=False, **{PROGRAM_KEY: digest}, **arrays)
        except FileError as error:
            raise ProgramError(f"session of {self.program.name}: {error}") from None
        return Path(path)

    def restore(self, path: str | PathLike[str]) -> None:
        """Set all states to those of a file that a session of this program saved, on any engine.

        Raises ProgramError for another file, and then the states are as they were.
        """
        digest = bytes.fromhex(self.program.content_hash())
        wanted = {STATE_KEY + s.name: s for s in self.program.states}
        try:
            arrays = _read_arrays(Path(path), sum(map(self._size, self.program.states)))
        except OSError as error:
            raise ProgramError(f"cannot read {path}: {error.strerror or error}") from None
        except (ValueError, TypeError, EOFError, KeyError, zipfile.BadZipFile) as error:
            what = " ".join(str(error).split())
            raise ProgramError(f"{path} is no saved session ({what}); save it again") from None
        if arrays.keys() != {PROGRAM_KEY, *wanted}:
            raise ProgramError(
                f"{path} holds {', '.join(sorted(arrays)) or 'nothing'}, not the states of "
                f"{self.program.name}; pass a session saved by Session.save"
            )
        if arrays[PROGRAM_KEY].tobytes() != digest:
            raise ProgramError(
                f"{path} holds states of another program "
                f"({arrays[PROGRAM_KEY].tobytes().hex()[:12]}), not of {self.program.name} "
                f"({digest.hex()[:12]}); restore it into a session of that one"
            )
        for key, state in wanted.items():
            size = self._size(state)
            if arrays[key].dtype != np.uint8 or arrays[key].shape != (size,):
                raise ProgramError(
                    f"{path}: state {state.name} is {arrays[key].dtype}{list(arrays[key].shape)}, "
                    f"not {size} bytes; save it again"
                )
        self._set({state.name: arrays[key] for key, state in wanted.items()})

    def close(self) -> None:
        """Forget the states; the last session of a program gives the engine's memory back."""
        self._release()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> Placement:
        if not self._release.alive:
            raise ProgramError(f"the session of {self.program.name} is closed; load it again")
        return self._placement

    def _values(self) -> Placement:
        """Return the placement, where states have values that are known."""
        placement = self._open()
        if not placement.computes_values:
            raise ProgramError(
                f"engine {self.engine} computes no values, so that a state has none; load the "
                "program on functional, rtl or board"
            )
        return placement

    def _outputs(self, entry: Entry) -> dict[str, NDArray]:
        ku = self._chip.ku
        return {
            b.name: unpack(b, self._placement.read(b.address, binding_bytes(b, ku)), ku)
            for b in entry.outputs
        }

    def _size(self, state: State) -> int:
        return binding_bytes(state.binding, self._chip.ku)

    def _first(self, state: State) -> Bytes:
        if len(state.initial):
            return np.frombuffer(state.initial, np.uint8)
        return np.zeros(self._size(state), np.uint8)

    def _is_resident(self) -> bool:
        resident = self._placement.resident
        return resident is not None and resident() is self

    def _move_in(self) -> None:
        """Let this session's states lie in memory, and the former one's on the host."""
        placement = self._placement
        self._need_known()
        if not placement.computes_values or self._is_resident():
            return
        placement.move_out()
        for state in self.program.states:
            parked = self._parked[state.name]
            contents = self._first(state) if parked is None else parked
            placement.write(state.binding.address, contents)
        self._parked = dict.fromkeys(self._parked)
        placement.resident = weakref.ref(self)

    def move_out(self) -> None:
        """Park the states on the host; an engine asks for it."""
        for state in self.program.states:
            self._parked[state.name] = self._placement.read(
                state.binding.address, self._size(state)
            )

    def _bytes(self, state: State) -> Bytes:
        """Return a copy of a state's bytes in DRAM form."""
        placement = self._values()
        with placement.lock:
            self._need_known()
            if self._is_resident():
                return placement.read(state.binding.address, self._size(state))
            parked = self._parked[state.name]
            return (self._first(state) if parked is None else parked).copy()

    def _set(self, contents: Mapping[str, Bytes | None]) -> None:
        """Set states; None: to the first contents."""
        placement = self._values()
        with placement.lock:
            if self._lost and contents.keys() == self._parked.keys():
                self._lost = ""
            self._need_known()
            if not self._is_resident():
                self._parked |= contents
                return
            for name, data in contents.items():
                state = self.program.state(name)
                placement.write(state.binding.address, self._first(state) if data is None else data)

    def _lose(self, error: BaseException) -> None:
        self._lost = " ".join(str(error).split()) or type(error).__name__
        self._placement.resident = None

    def _need_known(self) -> None:
        if self._lost:
            raise ProgramError(
                f"the states of this session of {self.program.name} are lost, since a run failed "
                f"({self._lost}); restore or drop all of them"
            )


def _read_arrays(path: Path, most: int) -> dict[str, NDArray]:
    """Read an .npz whose arrays hold `most` bytes, and a little more, at most."""
    with np.load(path, allow_pickle=False) as file:
        size = sum(part.file_size for part in file.zip.infolist())
        if size > most + HEADERS_BYTES:
            raise ValueError(f"{size} bytes where the states are {most}")
        return {name: file[name] for name in file.files}


def _form(state: State) -> Binding:
    """Return the binding without its name and place."""
    return replace(state.binding, name="", address=0)


def _described(state: State) -> str:
    return f"{state.binding.external}{list(state.binding.shape)}"
