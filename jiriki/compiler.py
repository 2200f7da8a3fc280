"""The compiler on one screen: Graph in, Program out, the passes in order.

    fuse and place   which nodes are one piece of work, which tensors stay in the scratchpad
    cut              tiles of each piece that fit the chip          (tiles/)
    emit             order, addresses, waits, instructions          (emit/)

With more effort several plans are tried (how much scratchpad resident tensors may take); the one
whose program the timing simulator finds fastest is kept.
"""

from collections.abc import Callable, Iterator

from jiriki.chip.config import ChipConfig
from jiriki.emit import EmitError, OutOfMemory, emit
from jiriki.graph.graph import Graph
from jiriki.program import Program
from jiriki.sim.timing import TimingEngine
from jiriki.tiling.cut import Plan, cut_graph
from jiriki.tiling.errors import TileError

RESIDENT_SHARES = (0.5, 0.375, 0.625, 0.25, 0.0)
LOOKAHEADS = (400, 60, 0)


def compile_graph(
    graph: Graph,
    chip: ChipConfig,
    *,
    effort: int = 1,
    progress: Callable[[str], None] | None = None,
) -> Program:
    """Compile a graph for a chip.

    effort: how many plans to try. Raises the last planner's error when none fits.
    """
    graph.verify()
    tell = progress or (lambda _: None)
    engine = TimingEngine(chip)
    best: tuple[int, Program] | None = None
    error: TileError | EmitError | None = None
    tried = 0
    for plan in plans(chip):
        if tried >= effort:
            break
        tell(f"planning with {plan.resident_bytes // 1024} KiB for resident tensors")
        try:
            program = _emit_with_fallback(graph, chip, plan)
        except (TileError, OutOfMemory) as failed:
            error = failed
            continue
        tried += 1
        if effort == 1:
            return program
        cycles = engine.run(program).cycles or 0
        if best is None or cycles < best[0]:
            best = (cycles, program)
    if best is None:
        assert error is not None, "a plan either works or says why not"
        raise error
    return best[1]


def plans(chip: ChipConfig) -> Iterator[Plan]:
    """Yield the plans in the order they are tried."""
    for share in RESIDENT_SHARES:
        budget = int(chip.scratchpad_bytes * share)
        yield Plan(resident_bytes=budget, largest_bytes=budget)
    yield Plan(resident_bytes=0, largest_bytes=0, stream=False)


def _emit_with_fallback(graph: Graph, chip: ChipConfig, plan: Plan) -> Program:
    """Emit with the longest prefetch that fits."""
    tiles = cut_graph(graph, chip, plan)
    for lookahead in LOOKAHEADS[:-1]:
        try:
            return emit(tiles, graph, chip, lookahead)
        except OutOfMemory:
            continue
    return emit(tiles, graph, chip, LOOKAHEADS[-1])
