"""A queue whose newest entry can leave in the cycle in which it comes.

In: entries (the sender counts places, by `level`). Out: the oldest, taken when `take`. Storage is
a memory with an asynchronous read port. Latency 0 when empty.
"""

from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out


class Backlog(wiring.Component):
    """push: only with level < depth, or with take. take: only with valid."""

    def __init__(self, shape: ShapeLike, depth: int) -> None:
        self.shape, self.depth = shape, depth
        super().__init__(
            {
                "push": In(1),
                "entry": In(shape),
                "valid": Out(1),
                "oldest": Out(shape),
                "take": In(1),
                "level": Out(range(depth + 1)),  # entries at the beginning of the cycle
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it: an entry that leaves at once is not stored."""
        m = Module()
        m.submodules.entries = entries = memory.Memory(shape=self.shape, depth=self.depth, init=[])
        write, read = entries.write_port(), entries.read_port(domain="comb")
        stored, through = Signal(), Signal()
        put, get = (Signal(range(self.depth), name=name) for name in ("put", "get"))
        m.d.comb += [
            stored.eq(self.level != 0),
            through.eq(self.push & self.take & ~stored),
            self.valid.eq(stored | self.push),
            read.addr.eq(get),
            self.oldest.eq(Mux(stored, read.data, self.entry)),
            write.addr.eq(put),
            write.data.eq(self.entry),
            write.en.eq(self.push & ~through),
        ]
        for pointer, moves in ((put, self.push & ~through), (get, self.take & stored)):
            with m.If(moves):
                m.d.sync += pointer.eq(Mux(pointer == self.depth - 1, 0, pointer + 1))
        m.d.sync += self.level.eq(self.level + self.push - self.take)
        return m
