"""Run by cocotb: the DRAM port against cocotbext-axi's memory, with random stalls.

Reads and writes fall in a small region, so that most reads meet earlier writes; what a read must
return is what was written by grants before its own. `test_axi.py` starts this.
"""

# pyright: reportOptionalMemberAccess=false

import os
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge
from cocotbext.axi import AxiBus, AxiRam

BEAT, BLOCK, REGION, CYCLES = 16, 64, 1024, 6000


class Traffic:
    """The units' side of the port, cycle by cycle."""

    def __init__(self, dut, rng: random.Random) -> None:
        self.dut, self.rng = dut, rng
        self.memory = bytearray(rng.randbytes(REGION))
        self.expected: dict[str, list[tuple[int, bytes]]] = {"load": [], "fetch": []}
        self.wanted: dict[str, tuple[int, int] | None] = dict.fromkeys(("load", "store", "fetch"))
        self.late: dict[str, int] = {}
        self.writing: list[tuple[int, int]] = []  # beats of the granted write: data, strobe
        self.beat: tuple[int, int] | None = None  # taken in the cycle before
        self.reads = self.writes = 0

    def draw(self, unit: str) -> tuple[int, int]:
        """Draw a burst: first byte and bytes, within one aligned block."""
        block = self.rng.randrange(REGION // BLOCK) * BLOCK
        if unit == "fetch":
            start = self.rng.randrange(BLOCK // 16) * 16
            return block + start, BLOCK - start
        start = self.rng.randrange(BLOCK)
        return block + start, self.rng.randint(1, BLOCK - start)

    def drive(self, want: float) -> None:
        """Set the inputs of a cycle."""
        dut = self.dut
        for unit in self.wanted:
            chance = want / 5 if unit == "fetch" else want  # fetch goes first: leave room
            if self.wanted[unit] is None and self.rng.random() < chance:
                self.wanted[unit] = self.draw(unit)
            burst = self.wanted[unit]
            if unit == "store" and burst is not None and self.is_read(burst[0]):
                burst = None
            getattr(dut, f"{unit}__valid").value = int(burst is not None)
            if burst is None:
                continue
            if unit == "fetch":
                dut.fetch__address.value, dut.fetch__bytes.value = burst
            else:
                beats = (burst[0] % BEAT + burst[1] + BEAT - 1) // BEAT
                getattr(dut, f"{unit}__beats").value = beats
        for unit in ("load", "store"):
            address = getattr(dut, f"{unit}__address")
            address.value = self.late.pop(unit, self.rng.randrange(1 << 32))
        data, strobe = self.beat or (self.rng.getrandbits(8 * BEAT), self.rng.getrandbits(BEAT))
        dut.store__data.value, dut.store__strobe.value = data, strobe

    def is_read(self, address: int) -> bool:
        """Say whether the block has reads on their way: AXI lets a write overtake them."""
        ahead = [at for beats in self.expected.values() for at, _ in beats]
        return any(at // BLOCK == address // BLOCK for at in ahead)

    def sample(self) -> None:
        """See the outputs of a cycle."""
        dut = self.dut
        for unit in self.wanted:
            if int(getattr(dut, f"{unit}__grant").value):
                self.granted(unit)
        self.beat = None
        if int(dut.store__take.value):
            last = int(dut.store__last.value)
            self.beat = self.writing.pop(0)
            assert last == (not self.writing), "store.last is not at the last beat"
        for unit, expected in self.expected.items():
            if int(getattr(dut, f"{unit}__beat_valid").value):
                got = int(getattr(dut, f"{unit}__beat").value).to_bytes(BEAT, "little")
                assert got == expected.pop(0)[1], f"{unit} read a wrong beat"
        assert not int(dut.error.value)

    def granted(self, unit: str) -> None:
        """Note what a granted burst must read, or writes."""
        address, n = self.wanted[unit] or (0, 0)
        self.wanted[unit] = None
        first = address // BEAT * BEAT
        beats = range(first, address + n, BEAT)
        if unit != "fetch":
            self.late[unit] = address
        if unit != "store":
            self.reads += 1
            self.expected[unit] += [(b, bytes(self.memory[b : b + BEAT])) for b in beats]
            return
        self.writes += 1
        assert not self.writing, "a write was granted before the last one was taken"
        for b in beats:
            lanes = [b + i for i in range(BEAT)]
            inside = [address <= lane < address + n for lane in lanes]
            data = self.rng.randbytes(BEAT)
            for lane, byte, here in zip(lanes, data, inside, strict=True):
                if here:
                    self.memory[lane] = byte
            strobe = sum(here << i for i, here in enumerate(inside))
            self.writing.append((int.from_bytes(data, "little"), strobe))


def stalls(rng: random.Random, share: float):
    """Yield for every cycle whether a channel waits."""
    while True:
        yield rng.random() < share


async def watch(dut) -> None:
    """Check on every edge: a payload stays while it waits, no burst leaves its block."""
    held: dict[str, tuple[int, ...]] = {}
    channels = {
        "ar": ("araddr", "arlen"), "aw": ("awaddr", "awlen"), "w": ("wdata", "wstrb", "wlast"),
    }  # fmt: skip
    while True:
        await FallingEdge(dut.clk)
        for name, fields in channels.items():
            valid = int(getattr(dut, f"axi__{name}valid").value)
            now = tuple(int(getattr(dut, f"axi__{field}").value) for field in fields)
            if name in held:
                assert valid and now == held[name], f"{name} changed while it waited"
            held.pop(name, None)
            if valid and not int(getattr(dut, f"axi__{name}ready").value):
                held[name] = now
            if valid and name != "w":
                end = now[0] + now[1] * BEAT
                assert now[0] // BLOCK == end // BLOCK, f"{name} leaves its block"


@cocotb.test()
async def a_stalling_memory_reads_and_writes_in_the_order_of_grants(dut) -> None:
    seed = int(os.environ["JIRIKI_SEED"])
    dut._log.info("seed %d", seed)
    rng = random.Random(seed)
    for unit in ("load", "store", "fetch"):
        getattr(dut, f"{unit}__valid").value = 0
    Clock(dut.clk, 10, "ns").start()
    dut.rst.value = 1
    for _ in range(4):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    ram = AxiRam(AxiBus.from_prefix(dut, "axi_"), dut.clk, size=REGION)
    traffic = Traffic(dut, rng)
    ram.write(0, bytes(traffic.memory))
    dut._log.getChild("axi_").setLevel("WARNING")
    share = rng.choice((0.0, 0.3, 0.7))
    for channel in (
        ram.read_if.ar_channel, ram.read_if.r_channel, ram.write_if.aw_channel,
        ram.write_if.w_channel, ram.write_if.b_channel,
    ):  # fmt: skip
        channel.set_pause_generator(stalls(rng, share))
    cocotb.start_soon(watch(dut))
    want = rng.choice((0.1, 0.5, 1.0))
    for cycle in range(CYCLES + 4000):
        await RisingEdge(dut.clk)
        traffic.drive(want if cycle < CYCLES else 0.0)
        await FallingEdge(dut.clk)
        traffic.sample()
    assert traffic.expected == {"load": [], "fetch": []}, "reads were not answered"
    assert int(dut.outstanding.value) == 0
    assert ram.read(0, REGION) == bytes(traffic.memory)
    assert traffic.reads > 100 and traffic.writes > 50
