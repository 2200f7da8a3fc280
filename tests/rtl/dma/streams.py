"""Random instruction streams of LD and ST that stay inside memories and do not race.

LD reads DRAM's first part and writes the scratchpad's first; ST reads the scratchpad's second and
writes DRAM's second; index lists lie in the scratchpad's last part. So the order between the two
queues does not matter.
"""

import random

import numpy as np

from jiriki.chip import ChipConfig
from jiriki.isa import Instruction, Unit
from jiriki.isa.control import Sig, Wait  # noqa: F401
from jiriki.isa.dma.instructions import Dim, Gidx, Ld, St
from jiriki.isa.words import DmaMode
from tests.rtl.dma.bench import Trial

DRAM_BYTES = 1 << 16
LISTS = 16  # index lists
LIST_ENTRIES = 16
MOST_BYTES = 1500


def trial(chip: ChipConfig, rng: random.Random, count: int, *, exact: bool, **world) -> Trial:
    """Return `count` moves; `exact`: GATHER only where its time does not depend on the index."""
    maker = _Maker(chip, rng, exact)
    instructions = [i for _ in range(count) for i in maker.move(rng.choice((Unit.LD, Unit.ST)))]
    numbers = np.random.default_rng(rng.randrange(1 << 30))
    dram = numbers.integers(0, 256, DRAM_BYTES, dtype=np.uint8)
    sp = numbers.integers(0, 256, chip.scratchpad_bytes, dtype=np.uint8)
    lists = np.array(maker.entries, np.int32).reshape(-1).view(np.uint8)
    sp[maker.lists : maker.lists + lists.size] = lists
    return Trial(chip, instructions, sp, dram, rng.randrange(1 << 30), **world)


class _Maker:
    """Draws instructions."""

    def __init__(self, chip: ChipConfig, rng: random.Random, exact: bool) -> None:
        self.chip, self.rng, self.exact = chip, rng, exact
        half = chip.scratchpad_bytes * 3 // 8
        self.lists = chip.scratchpad_bytes - 4 * LISTS * LIST_ENTRIES
        self.sp = {Unit.LD: (0, half), Unit.ST: (half, 2 * half)}
        self.dram = {
            Unit.LD: (DRAM_BYTES // 8, DRAM_BYTES // 2),
            Unit.ST: (DRAM_BYTES // 2, DRAM_BYTES),
        }
        self.entries = [[rng.randrange(-4, 12) for _ in range(LIST_ENTRIES)] for _ in range(LISTS)]

    def move(self, unit: Unit) -> list[Instruction]:
        """Return the descriptors of one LD or ST, and itself."""
        rng = self.rng
        if rng.random() < 0.05:
            return [Dim.new(unit, dim=rng.randrange(4), count=1 + rng.randrange(9))]
        mode = rng.choices(list(DmaMode), (4, 1, 2, 2))[0]
        scatter, gather = mode is DmaMode.SCATTER_BYTES, mode is DmaMode.GATHER
        run = rng.choice((1, 2, 3, 4, rng.randrange(1, 20), 16, 64, rng.randrange(1, 400)))
        if scatter:
            run = min(run, 60)
        ndims = rng.randrange(1 if gather else 0, 4 if scatter else 5)
        counts: list[int] = []
        for _ in range(ndims):
            most = max(1, min(6, MOST_BYTES // (run * int(np.prod(counts or [1])))))
            counts.append(rng.randint(1, most))
        sp_strides = self._strides(run, counts, 900)
        dram_strides = self._strides(run, counts, 1500)
        dims = dict(enumerate(zip(counts, dram_strides, sp_strides, strict=True)))
        out: list[Instruction] = []
        entries = [0]
        if gather:
            which = rng.randrange(LISTS)
            entries = self.entries[which][: counts[0]]
            out.append(Gidx.new(unit, base=self.lists + 4 * LIST_ENTRIES * which))
            stride = rng.choice((-2, -1, 1, 2, 3)) * self.chip.dram_burst_bytes
            dims[0] = (counts[0], stride if self.exact else rng.randrange(-300, 300), sp_strides[0])
        byte_stride = 1
        if scatter:
            byte_stride = rng.choice((0, 1, -1, 4, 7, 32, 64, -64, 100, rng.randrange(-130, 130)))
            dims[3] = (1 + rng.randrange(3), 0, byte_stride)
        order = list(dims)
        rng.shuffle(order)
        out += [
            Dim.new(unit, dim=d, count=dims[d][0], dram_stride=dims[d][1], sp_stride=dims[d][2])
            for d in order
        ]
        walked = [dims[d] for d in range(ndims)]
        sp = self._base(self.sp[unit], [(c, s) for c, _, s in walked], run, byte_stride)
        far = [(c, s) for c, s, _ in walked]
        shift = 0
        if gather:
            offsets = [e * far[0][1] for e in entries]
            shift = min(offsets)
            far[0] = (2, max(offsets) - shift)
        dram = self._base(self.dram[unit], far, run, 1) - shift
        kind = Ld if unit is Unit.LD else St
        out.append(
            kind.new(dram=dram, sp=sp, run=run, ndims=ndims, mode=mode, fill=rng.randrange(256))
        )
        return out

    def _strides(self, run: int, counts: list[int], most: int) -> list[int]:
        """Draw strides, dense ones (that fold) often."""
        out, dense = [], run
        for count in counts:
            kind = self.rng.random()
            stride = dense if kind < 0.45 else self.rng.randrange(-most, most)
            if kind > 0.9:
                stride = self.rng.choice((0, run, -run))
            out.append(stride)
            dense = dense * count
        return out

    def _base(self, part: tuple[int, int], dims: list[tuple[int, int]], run: int, step: int) -> int:
        """Draw a first byte such that all bytes lie in the part."""
        moves = [(count - 1) * stride for count, stride in [*dims, (run, step)]]
        low, high = sum(min(0, m) for m in moves), sum(max(0, m) for m in moves) + 1
        first, last = part[0] - low, part[1] - high
        assert first <= last, f"a move of {low}..{high} bytes fits no part of {part}"
        return self.rng.randint(first, last)
