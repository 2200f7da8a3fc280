"""Networks on our own chips of many tiles: the timing simulator for a tile, a stated model for the
memory that tiles share.

In: a Graph, or a run of it on one tile that was measured before (`measured.toml`); a Product of
ours. Out: a `TileRun`; a `Prediction` of the whole chip.

Each tile works on its own image. The simulator gives a tile's cycles and its DRAM traffic with a
DRAM port of its own; the product's DRAM is shared, so that tiles slow down together when they ask
for more than it gives (`bandwidth_share` of class `tiles`). Weights are the same for all tiles:
*low* lets each tile read them for itself, *base* lets `SHARING` tiles take one read (multicast by
the DMA, which the instruction set plans for and no compiler emits yet), *high* all of them. Other
traffic is each tile's own. What the model leaves out: contention in the network on chip, and images
that arrive late.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jiriki.chip import ChipConfig, load_chip
from jiriki.compiler import compile_graph
from jiriki.graph import Graph
from jiriki.plan.errors import PlanError
from jiriki.predict import Prediction, Workload, load_efficiencies, predict
from jiriki.predict.engine import server_share
from jiriki.products.product import Product
from jiriki.products.table import Table, load_table
from jiriki.sim.timing import TimingEngine

SHARING = 4  # tiles that take one read of the weights, base
LEFT_OUT = 0.1  # what contention and late images may cost: stated, taken off the low end


@dataclass(frozen=True, slots=True)
class TileRun:
    """One sample on one tile, as the timing simulator counts it."""

    workload: str
    tile: str
    chip_hash: str
    cycles: int
    read_bytes: int
    written_bytes: int
    weight_bytes: int  # of read_bytes, at most


def expect(
    workload: Workload, product: Product, mode: str = "offline", *, batch: int | None = None
) -> Prediction:
    """Predict any chip without compiling: ours from a stored run where there is one.

    Raises PredictError as `predict.predict` does.
    """
    if product.tile is not None and batch is None:
        run = load_run(workload.id, load_chip(product.tile))
        if run is not None:
            return predict_tiles(workload, product, run, mode)
    return predict(workload, product, mode, batch=batch)


def measure(workload: str, graph: Graph, chip: ChipConfig) -> TileRun:
    """Compile the graph for one tile and count it. Raises the compiler's errors."""
    run = TimingEngine(chip).run(compile_graph(graph, chip))
    assert run.cycles and run.dram_read_bytes is not None and run.dram_write_bytes is not None, (
        "the timing engine counts cycles and traffic"
    )
    weights = sum(array.nbytes for array in graph.constants.values())
    return TileRun(
        workload, chip.name, chip.content_hash(), run.cycles, run.dram_read_bytes,
        run.dram_write_bytes, min(weights, run.dram_read_bytes),
    )  # fmt: skip


def load_run(workload: str, chip: ChipConfig) -> TileRun | None:
    """Return the stored run of this very tile, if there is one."""
    fitting = (run for run in _stored() if (run.workload, run.tile) == (workload, chip.name))
    return next((run for run in fitting if run.chip_hash == chip.content_hash()), None)


@cache
def _stored() -> tuple[TileRun, ...]:
    file = resources.files("jiriki.plan.compare") / "measured.toml"
    return tuple(_run(entry) for entry in load_table(file, "measured.toml").tables("run", "run"))


def _run(table: Table) -> TileRun:
    texts = ("workload", "tile", "chip_hash")
    values: dict[str, Any] = {
        name: table.text(name) if name in texts else table.whole(name, 0)
        for name in TileRun.__slots__
    }
    table.close()
    return TileRun(**values)


def to_toml(runs: Iterable[TileRun]) -> str:
    """Return the tables of `measured.toml`."""
    return "".join(
        f"\n[[run]]\n{_fields(run)}" for run in sorted(runs, key=lambda r: (r.workload, r.tile))
    )


def _fields(run: TileRun) -> str:
    pairs = ((name, getattr(run, name)) for name in TileRun.__slots__)
    return "".join(
        f'{name} = "{value}"\n' if isinstance(value, str) else f"{name} = {value}\n"
        for name, value in pairs
    )


def predict_tiles(
    workload: Workload, product: Product, run: TileRun, mode: str = "offline"
) -> Prediction:
    """Return what the whole chip does when every tile runs its own sample.

    Raises PlanError for a product that is not of our tiles, or a run on another tile.
    """
    if product.tile is None or product.tiles is None:
        raise PlanError(f"chip {product.id} is not made of our tiles; ask the analytic engine")
    if run.tile != product.tile or run.workload != workload.id:
        raise PlanError(
            f"chip {product.id}: a run of {run.workload} on {run.tile} says nothing of "
            f"{workload.id} on {product.tile}; measure that"
        )
    clock_hz = product.clock.base if product.clock else load_chip(product.tile).clock_hz
    tiles = 1 if mode == "single" else product.tiles
    sample_s = run.cycles / clock_hz
    rates, slowed = [], []
    for sharing in (1, SHARING, tiles):
        slow = _slowing(product, run, sample_s, tiles, min(sharing, tiles))
        slowed.append(slow)
        rates.append(tiles / (sample_s * slow))
    share = server_share(workload, load_efficiencies(), sample_s) if mode == "server" else 1.0
    low, base, high = (rate * share for rate in rates)
    low *= 1 - LEFT_OUT
    return Prediction(
        per_s=(low, base, high),
        unit=workload.unit,
        latency_s=sample_s * slowed[1],
        batch=tiles,
        chips=1,
        bound="memory" if slowed[1] > 1 else "compute",
        utilisation=base * workload.ops / product.peak["int8"].base,
        weights_format="int8",
        calibrated_on=(
            f"timing simulator: {run.cycles:,} cycles on one tile {run.tile}; shared memory by a "
            f"stated model ({SHARING} tiles take one read of the weights)"
        ),
        assumed=(),
    )


def _slowing(product: Product, run: TileRun, sample_s: float, tiles: int, sharing: int) -> float:
    """Return the factor by which shared memory stretches a sample, at least 1."""
    if product.dram_bandwidth is None:
        return 1.0
    own = run.read_bytes - run.weight_bytes + run.written_bytes
    asked = tiles * (own + run.weight_bytes / sharing) / sample_s
    share = load_efficiencies().classes["tiles"].bandwidth_share
    return max(1.0, asked / (product.dram_bandwidth.base * share))
