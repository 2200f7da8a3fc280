"""The DRAM port: fetch, LD and ST share one AXI4 master, one burst at a time.

In: requests of the three, AXI responses. Out: grants, beats, AXI requests. Follows "DRAM port" of
docs/reference/timing.md: fetch first, LD and ST in turn, the port busy for the beats of a burst.

Latency: what is granted (or taken) in cycle *c* is on the bus in *c* + PORT_CYCLES, in both
directions alike; a read beat on the bus is handed on in the same cycle. So a memory that answers an
AR accepted in cycle *a* with beat *i* in *a* + `dram_latency_cycles` - PORT_CYCLES + *i* makes the
times of the contract. No output of the bus depends on an input of the same cycle.

On the bus a read waits until every earlier write is accepted, address and data; with `ordered`
until it is answered (B): memory needs that which lets accepted reads overtake writes. Writes are
posted: a unit hears nothing of B; `outstanding` counts them (the host must not read results before
it is 0). All bursts have one ID, INCR, and stay in an aligned block.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from jiriki.chip import ChipConfig
from jiriki.rtl.dma.backlog import Backlog
from jiriki.rtl.dma.records import (
    DRAM_BITS,
    Sizes,
    load_port_signature,
    store_port_signature,
)
from jiriki.rtl.errors import RtlError
from jiriki.rtl.interfaces import fetch_signature
from jiriki.rtl.memory.axi import BURST_INCR, CACHE_NORMAL, RESP_OKAY, axi4_signature, size_code

PORT_CYCLES = 2  # from a grant to the bus
_DEPTH = 4  # requests, and beats of writes, that wait for the bus
_FETCHES = 64  # fetch bursts on their way


class DramPort(wiring.Component):
    """See the module."""

    def __init__(self, chip: ChipConfig, *, ordered: bool = False) -> None:
        self.chip, self.sizes, self.ordered = chip, Sizes(chip), ordered
        if chip.dram_latency_cycles <= PORT_CYCLES:
            raise RtlError(
                f"chip {chip.name}: dram_latency_cycles = {chip.dram_latency_cycles} leaves none "
                f"for the memory beyond the port's own {PORT_CYCLES}; use more"
            )
        self.reads = chip.dram_bursts_in_flight + _FETCHES
        beats = range(self.sizes.block_beats + 1)
        super().__init__(
            {
                "fetch": In(fetch_signature(chip)),
                "load": In(load_port_signature(chip)),
                "store": In(store_port_signature(chip)),
                "axi": Out(axi4_signature(DRAM_BITS, 8 * self.sizes.beat)),
                "fetch_beats": Out(beats),  # granted in this cycle, for the counters
                "load_beats": Out(beats),
                "store_beats": Out(beats),
                "outstanding": Out(16),  # bursts of writes granted and not answered
                "error": Out(1),  # a response was not OKAY; stays
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        self.places = Signal()  # a request more has a place to wait
        self.room_for_read = Signal()  # ... and its owner
        self.took, self.waiting = Signal(), Signal(range(_DEPTH + 1))  # beats of writes
        self.asked = Signal()  # a write's address goes to the bus
        self.to_send = Signal(range(_DEPTH + 2))  # bursts whose address went, last beat not
        self._arbitrate(m)
        self._take(m)
        self._issue(m)
        self._write_beats(m)
        self._return(m)
        return m

    def _arbitrate(self, m: Module) -> None:
        """Give the port to one burst, when it is free."""
        sizes, fetch, load, store = self.sizes, self.fetch, self.load, self.store
        self.busy = busy = Signal(range(sizes.block_beats + 1))  # beats of a read to come
        self.to_take = Signal.like(busy)  # beats of a write to come
        free, reads, store_last = Signal(), Signal(), Signal(init=1)
        fetch_beats, in_beat = Signal.like(busy), fetch.address[: sizes.beat_bits]
        m.d.comb += [
            free.eq((busy == 0) & (self.to_take == 0) & self.places),
            reads.eq(free & self.room_for_read),
            fetch_beats.eq((in_beat + fetch.bytes + sizes.beat - 1) >> sizes.beat_bits),
            fetch.grant.eq(reads & fetch.valid),
            load.grant.eq(reads & ~fetch.valid & load.valid & (~store.valid | store_last)),
            store.grant.eq(free & ~fetch.valid & store.valid & ~load.grant),
            self.fetch_beats.eq(Mux(fetch.grant, fetch_beats, 0)),
            self.load_beats.eq(Mux(load.grant, load.beats, 0)),
            self.store_beats.eq(Mux(store.grant, store.beats, 0)),
        ]
        with m.If(load.grant | store.grant):
            m.d.sync += store_last.eq(store.grant)
        with m.If(fetch.grant | load.grant):
            m.d.sync += busy.eq((self.fetch_beats | self.load_beats) - 1)
        with m.Elif(busy != 0):
            m.d.sync += busy.eq(busy - 1)

    def _take(self, m: Module) -> None:
        """Take a write's beats, one a cycle while they find a place."""
        store, now = self.store, Signal.like(self.to_take)
        m.d.comb += [
            now.eq(Mux(store.grant, store.beats, self.to_take)),
            store.take.eq((now != 0) & (self.waiting + self.took < _DEPTH)),
            store.last.eq(now == 1),
        ]
        m.d.sync += [self.to_take.eq(now - store.take), self.took.eq(store.take)]

    def _request(self, m: Module) -> Backlog:
        """Complete a request in the cycle after its grant and let it wait for the bus."""
        sizes, fetch = self.sizes, self.fetch
        layout = data.StructLayout(
            {"address": DRAM_BITS, "beats": range(sizes.block_beats + 1), "write": 1}
        )
        m.submodules.requests = requests = Backlog(layout, _DEPTH)
        comes, fetched, place = Signal(), Signal(), Signal(DRAM_BITS)
        write, beats = Signal(), Signal.like(self.busy)
        m.d.sync += [
            comes.eq(fetch.grant | self.load.grant | self.store.grant),
            fetched.eq(fetch.grant), write.eq(self.store.grant), place.eq(fetch.address),
            beats.eq(self.fetch_beats | self.load_beats | self.store_beats),
        ]  # fmt: skip
        late = Mux(write, self.store.address, Mux(fetched, place, self.load.address))
        m.d.comb += [
            requests.push.eq(comes),
            requests.entry.address.eq(Cat(Const(0, sizes.beat_bits), late[sizes.beat_bits :])),
            requests.entry.beats.eq(beats), requests.entry.write.eq(write),
            self.places.eq(requests.level + comes < _DEPTH),
        ]  # fmt: skip
        return requests

    def _issue(self, m: Module) -> None:
        """Put requests on the bus in order, a read behind the writes before it."""
        axi, requests = self.axi, self._request(m)
        oldest, quiet = requests.oldest, Signal()
        aw_free, ar_free = ~axi.awvalid | axi.awready, ~axi.arvalid | axi.arready
        sent = (self.to_send == 0) & (~axi.wvalid | axi.wready)
        m.d.comb += [
            quiet.eq(aw_free & sent),
            requests.take.eq(requests.valid & Mux(oldest.write, aw_free, ar_free & quiet)),
        ]
        m.d.comb += self.asked.eq(requests.take & oldest.write)
        if self.ordered:
            unanswered = Signal.like(self.outstanding)  # of those on the bus
            m.d.comb += quiet.eq(aw_free & sent & (unanswered == 0))
            m.d.sync += unanswered.eq(unanswered + self.asked - axi.bvalid)
        for name, kind in (("ar", ~oldest.write), ("aw", oldest.write)):
            valid, ready = getattr(axi, f"{name}valid"), getattr(axi, f"{name}ready")
            with m.If(requests.take & kind):
                m.d.sync += [
                    valid.eq(1),
                    getattr(axi, f"{name}addr").eq(oldest.address),
                    getattr(axi, f"{name}len").eq(oldest.beats - 1),
                ]
            with m.Elif(ready):
                m.d.sync += valid.eq(0)
            m.d.comb += [
                getattr(axi, f"{name}size").eq(size_code(self.sizes.beat)),
                getattr(axi, f"{name}burst").eq(BURST_INCR),
                getattr(axi, f"{name}cache").eq(CACHE_NORMAL),
            ]

    def _write_beats(self, m: Module) -> None:
        """Move the beats taken in the cycle before to the bus, none ahead of its address.

        (Memory may refuse beats of a burst it has not heard of; a read before it would wait.)
        """
        axi, store, beat = self.axi, self.store, self.sizes.beat
        layout = data.StructLayout({"data": 8 * beat, "strobe": beat, "last": 1})
        m.submodules.beats = beats = Backlog(layout, _DEPTH)
        last, oldest = Signal(), beats.oldest
        m.d.sync += last.eq(store.last)
        m.d.comb += [
            beats.push.eq(self.took), beats.entry.data.eq(store.data),
            beats.entry.strobe.eq(store.strobe), beats.entry.last.eq(last),
            beats.take.eq(
                beats.valid & (~axi.wvalid | axi.wready) & ((self.to_send != 0) | self.asked)
            ),
            self.waiting.eq(beats.level),
        ]  # fmt: skip
        m.d.sync += self.to_send.eq(self.to_send + self.asked - (beats.take & oldest.last))
        with m.If(beats.take):
            m.d.sync += [
                axi.wvalid.eq(1), axi.wdata.eq(oldest.data), axi.wstrb.eq(oldest.strobe),
                axi.wlast.eq(oldest.last),
            ]  # fmt: skip
        with m.Elif(axi.wready):
            m.d.sync += axi.wvalid.eq(0)

    def _return(self, m: Module) -> None:
        """Hand read beats to who asked for them, in order; count the answers of writes."""
        axi, fetch, load = self.axi, self.fetch, self.load
        m.submodules.owners = owners = Backlog(1, self.reads)
        m.d.comb += [
            owners.push.eq(fetch.grant | load.grant), owners.entry.eq(fetch.grant),
            owners.take.eq(axi.rvalid & axi.rlast & owners.valid),
            self.room_for_read.eq(owners.level != self.reads),
            axi.rready.eq(1), axi.bready.eq(1),
            fetch.beat.eq(axi.rdata), load.beat.eq(axi.rdata),
            fetch.beat_valid.eq(axi.rvalid & owners.oldest),
            load.beat_valid.eq(axi.rvalid & ~owners.oldest),
        ]  # fmt: skip
        m.d.sync += self.outstanding.eq(self.outstanding + self.store.grant - axi.bvalid)
        with m.If(
            (axi.rvalid & (axi.rresp != RESP_OKAY)) | (axi.bvalid & (axi.bresp != RESP_OKAY))
        ):
            m.d.sync += self.error.eq(1)
