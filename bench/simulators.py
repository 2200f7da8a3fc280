"""SCALE-Sim v3 and our timing simulator on the same layers of ResNet-50, in the same run.

In: the package index (SCALE-Sim is installed into .cache/scalesim, with the NumPy it works with).
Out: seconds and cycles of each, and the ratio of simulated cycles a second. Both simulate 256
int8 MAC/cycle with 16 B/cycle of DRAM; SCALE-Sim a 16x16 weight-stationary array. Neither computes
values here. `--layers 2` takes more of the network; one layer takes SCALE-Sim about half a minute.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from jiriki.chip import load_chip
from jiriki.compiler import compile_graph
from jiriki.graph import Graph, Node, Port, TensorType
from jiriki.graph.tensor import DType
from jiriki.sim.timing import TimingEngine

HOME = Path(__file__).parents[1] / ".cache" / "scalesim"
PINS = ("scalesim==3.0.0", "numpy==2.2.6")
# name, side, kernel, input channels, output channels: stride 1, same size
LAYERS = (("res2a_branch2a", 56, 1, 64, 64), ("res2a_branch2c", 56, 1, 64, 256))
CONFIG = """[general]
run_name = jiriki
[architecture_presets]
ArrayHeight = 16
ArrayWidth = 16
ifmapsramszkB = 96
filtersramszkB = 96
ofmapsramszkB = 64
IfmapOffset = 0
FilterOffset = 10000000
OfmapOffset = 20000000
Bandwidth = 16
Dataflow = ws
MemoryBanks = 1
ReadRequestBuffer = 64
WriteRequestBuffer = 64
[layout]
IfmapCustomLayout = False
IfmapSRAMBankBandwidth = 16
IfmapSRAMBankNum = 16
IfmapSRAMBankPort = 2
FilterCustomLayout = False
FilterSRAMBankBandwidth = 16
FilterSRAMBankNum = 16
FilterSRAMBankPort = 2
[sparsity]
SparsitySupport = false
SparseRep = ellpack_block
OptimizedMapping = false
BlockSize = 4
RandomNumberGeneratorSeed = 40
[run_presets]
InterfaceBandwidth = USER
UseRamulatorTrace = False
"""


def main() -> int:
    """Run both, print both."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--layers", type=int, default=1, choices=range(1, len(LAYERS) + 1))
    layers = LAYERS[: parser.parse_args().layers]
    install()
    ours, our_s, our_cpu_s = run_ours(layers)
    theirs, their_s, their_cpu_s = run_scalesim(layers)
    names = ", ".join(layer[0] for layer in layers)
    print(f"ResNet-50 {names}: 256 MAC/cycle, 16 B/cycle, no values\n")
    print("| simulator | cycles | seconds | CPU seconds | cycles / CPU second |")
    print("|---|--:|--:|--:|--:|")
    for label, cycles, seconds, cpu_s in (
        ("SCALE-Sim 3.0.0", theirs, their_s, their_cpu_s),
        ("Jiriki timing", ours, our_s, our_cpu_s),
    ):
        speed = f"{cycles / cpu_s:,.0f}"
        print(f"| {label} | {cycles:,} | {seconds:.3f} | {cpu_s:.3f} | {speed} |")
    print(f"\nratio of CPU seconds: {their_cpu_s / our_cpu_s:,.0f}")
    return 0


def install() -> None:
    """Make SCALE-Sim's own environment, once."""
    if (HOME / "bin" / "python").exists() and _installed():
        return
    subprocess.run([sys.executable, "-m", "venv", str(HOME)], check=True)
    pip = [str(HOME / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *PINS], check=True, stderr=subprocess.DEVNULL)


def _installed() -> bool:
    code = "import importlib.metadata as m; print(m.version('scalesim'), m.version('numpy'))"
    command = [str(HOME / "bin" / "python"), "-c", code]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.split() == [pin.split("==")[1] for pin in PINS]


def run_scalesim(layers: tuple[tuple[str, int, int, int, int], ...]) -> tuple[int, float, float]:
    """Return cycles, seconds and CPU seconds of SCALE-Sim, start-up included."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "scale.cfg").write_text(CONFIG)
        rows = [f"{n}, {s}, {s}, {k}, {k}, {c}, {o}, 1," for n, s, k, c, o in layers]
        (folder / "net.csv").write_text("\n".join(["name, h, w, kh, kw, c, o, stride,", *rows, ""]))
        ones = ", ".join(["1"] * 30)
        rows = [f"{layer[0]}, {ones}," for layer in layers]
        (folder / "layout.csv").write_text("\n".join(["name, layout,", *rows, ""]))
        command = [str(HOME / "bin" / "python"), "-m", "scalesim.scale", "-s", "N"]
        for flag, path in (
            ("-c", "scale.cfg"),
            ("-t", "net.csv"),
            ("-l", "layout.csv"),
            ("-p", "."),
        ):
            command += [flag, str(folder / path)]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        seconds, after = perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cycles = [int(float(n)) for n in re.findall(r"^Total cycles: (\S+)", done.stdout, re.M)]
    if not cycles:
        cycles = [int(float(n)) for n in re.findall(r"^Compute cycles: (\S+)", done.stdout, re.M)]
    if len(cycles) != len(layers):
        raise SystemExit(f"SCALE-Sim failed: {done.stdout[-500:]} {done.stderr[-1500:]}")
    cpu = sum(getattr(after, f) - getattr(before, f) for f in ("ru_utime", "ru_stime"))
    return sum(cycles), seconds, cpu


def run_ours(layers: tuple[tuple[str, int, int, int, int], ...]) -> tuple[int, float, float]:
    """Return cycles, seconds and CPU seconds of the timing engine, after compilation."""
    chip = load_chip("e256")
    engine = TimingEngine(chip)
    programs = [compile_graph(one_layer(layer), chip, effort=1) for layer in layers]
    engine.run(programs[0])  # its kernels are compiled on first use
    began, cpu_began = perf_counter(), process_time()
    cycles = sum(engine.run(program).cycles or 0 for program in programs)
    return cycles, perf_counter() - began, process_time() - cpu_began


def one_layer(layer: tuple[str, int, int, int, int]) -> Graph:
    """Return the layer alone: int8 in and out of DRAM."""
    name, side, kernel, inputs, outputs = layer
    pad = kernel // 2
    constants = {
        "w": np.ones((outputs, inputs, kernel, kernel), np.int8),
        "b": np.zeros(outputs, np.int32),
        "m": np.full(outputs, 1e-3, np.float32),
    }
    tensors = {
        key: TensorType(array.shape, DType.of(array.dtype)) for key, array in constants.items()
    }
    tensors["x"] = TensorType((1, inputs, side, side), DType.I8)
    tensors["y"] = TensorType((1, outputs, side, side), DType.I8)
    attrs = {
        "strides": (1, 1), "pads": (pad,) * 4, "dilations": (1, 1), "group": 1, "x_zp": 0,
        "w_zp": 0, "out_zp": 0, "lo": -128, "hi": 127, "out": "i8",
    }  # fmt: skip
    ports = [Port(n, "int8", tensors[n].shape, None, 0) for n in ("x", "y")]
    node = Node("conv", name, ("x", "w", "b", "m"), ("y",), attrs, name)
    return Graph(name, (ports[0],), (ports[1],), tensors, constants, (node,))


if __name__ == "__main__":
    sys.exit(main())
