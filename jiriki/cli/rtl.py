"""`jiriki rtl`: the gates of a tile as a folder of Verilog, with a bench that runs one matmul.

In: a chip, a folder. Out: the folder (`jiriki.rtl.export`). What the bench expects comes from the
functional simulator (bytes) and the timing simulator (cycles), not from the gates.
"""

from pathlib import Path
from time import perf_counter

import numpy as np

from jiriki.chip import ChipConfig, load_chip
from jiriki.cli.extras import need_extra
from jiriki.cli.screen import Screen
from jiriki.compiler import compile_graph
from jiriki.graph import DType, Graph, Node, Port, TensorType
from jiriki.models import DEFAULT_CHIP
from jiriki.program.binding import pack
from jiriki.program.host import host_image
from jiriki.report.quantities import data
from jiriki.sim.functional import FunctionalEngine
from jiriki.sim.timing import TimingEngine

MATMUL = (24, 32, 16)  # m, k, n of the bench's program


def rtl(chip_name: str | None, output: Path, lint: bool, as_json: bool) -> None:
    """Write the folder."""
    screen = Screen("rtl", as_json)
    need_extra("rtl")
    from jiriki.rtl.export import export

    chip = load_chip(chip_name or DEFAULT_CHIP)
    began = perf_counter()
    with screen.step(f"writing the gates of {chip.name}") as tell:
        manifest = export(chip, output, matmul(chip), checked=lint, tell=tell)
    size = sum(file["bytes"] for file in manifest["files"].values())
    lines = sum(module["lines"] for module in manifest["modules"])
    payload = {
        "chip": chip.name, "folder": str(output), "top": manifest["top"],
        "modules": len(manifest["modules"]), "verilog_lines": lines, "bytes": size,
        "lint_clean": manifest["lint_clean"], "bench": manifest["bench"],
        "wall_s": perf_counter() - began,
    }  # fmt: skip
    clean = "lints clean" if lint else "not linted"
    text = (
        f"{output}: {payload['modules']} modules, {lines:,} lines of Verilog "
        f"({data(size)} in all), {clean}; {output / 'README.md'} says how to run the bench"
    )
    screen.result(payload, lambda: [text])


def matmul(chip: ChipConfig):  # noqa: ANN201 (a type of an optional room)
    """Return the bench's stimulus: a matmul of random int8 matrices, requantised to int8."""
    from jiriki.rtl.engine import memory_with_words
    from jiriki.rtl.export import Stimulus

    m, k, n = MATMUL
    program = compile_graph(_graph(m, k, n), chip)
    x = np.random.default_rng(1).integers(-128, 128, (m, k)).astype(np.int8)
    values = FunctionalEngine(chip).run(program, {"x": x}).outputs
    cycles = TimingEngine(chip).run(program).cycles
    assert values and cycles, "one simulator gives values, the other cycles"
    image, _ = host_image(program, chip, {"x": x})
    memory, addresses = memory_with_words(program, chip, image)
    (address,) = addresses.values()
    binding = program.outputs[0]
    return Stimulus(
        f"an int8 matmul, {m} x {k} times {k} x {n}", memory, address, len(program.instructions),
        binding.address, pack(binding, values["y"], chip.ku), cycles,
    )  # fmt: skip


def _graph(m: int, k: int, n: int) -> Graph:
    rng = np.random.default_rng(2)
    constants = {
        "w": rng.integers(-128, 128, (k, n)).astype(np.int8),
        "b": rng.integers(-1000, 1000, n).astype(np.int32),
        "s": np.full(n, 1e-3, np.float32),
    }
    tensors = {name: TensorType(a.shape, DType.of(a.dtype)) for name, a in constants.items()}
    tensors |= {"x": TensorType((m, k), DType.I8), "y": TensorType((m, n), DType.I8)}
    attrs = {"a_zp": 0, "b_zp": 0, "out_zp": 0, "lo": -128, "hi": 127, "out": "i8"}
    ports = [Port(name, "int8", tensors[name].shape, None, 0) for name in ("x", "y")]
    node = Node("matmul", "matmul", ("x", "w", "b", "s"), ("y",), attrs, "matmul")
    return Graph("matmul", (ports[0],), (ports[1],), tensors, constants, (node,))
