"""AXI4 and AXI4-Lite as signatures, each from the point of view of the master.

In: widths. Out: flat `wiring.Signature`s with the names of the AMBA AXI protocol specification
(IHI 0022) in lower case, so that a port `axi` becomes `axi__awvalid` and so on.
"""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

BURST_INCR = 1
RESP_OKAY = 0
CACHE_NORMAL = 0b0011  # normal memory, not cached, may be buffered
LONGEST_BURST = 256  # beats
BOUNDARY = 4096  # bytes that no burst may cross


def axi4_signature(address_bits: int, data_bits: int, id_bits: int = 1) -> wiring.Signature:
    """Return a full AXI4 master port."""

    def request(name: str) -> dict[str, wiring.Member]:
        return {
            f"{name}valid": Out(1),
            f"{name}ready": In(1),
            f"{name}id": Out(id_bits),
            f"{name}addr": Out(address_bits),
            f"{name}len": Out(8),  # beats - 1
            f"{name}size": Out(3),  # log2 of a beat's bytes
            f"{name}burst": Out(2),
            f"{name}lock": Out(1),
            f"{name}cache": Out(4),
            f"{name}prot": Out(3),
            f"{name}qos": Out(4),
        }

    return wiring.Signature(
        {
            **request("aw"),
            "wvalid": Out(1),
            "wready": In(1),
            "wdata": Out(data_bits),
            "wstrb": Out(data_bits // 8),
            "wlast": Out(1),
            "bvalid": In(1),
            "bready": Out(1),
            "bid": In(id_bits),
            "bresp": In(2),
            **request("ar"),
            "rvalid": In(1),
            "rready": Out(1),
            "rid": In(id_bits),
            "rdata": In(data_bits),
            "rresp": In(2),
            "rlast": In(1),
        }
    )


def axi4_lite_signature(address_bits: int, data_bits: int = 32) -> wiring.Signature:
    """Return an AXI4-Lite master port (a register file has the flipped one)."""
    return wiring.Signature(
        {
            "awvalid": Out(1),
            "awready": In(1),
            "awaddr": Out(address_bits),
            "awprot": Out(3),
            "wvalid": Out(1),
            "wready": In(1),
            "wdata": Out(data_bits),
            "wstrb": Out(data_bits // 8),
            "bvalid": In(1),
            "bready": Out(1),
            "bresp": In(2),
            "arvalid": Out(1),
            "arready": In(1),
            "araddr": Out(address_bits),
            "arprot": Out(3),
            "rvalid": In(1),
            "rready": Out(1),
            "rdata": In(data_bits),
            "rresp": In(2),
        }
    )


def size_code(bytes_per_beat: int) -> int:
    """Return AxSIZE of a beat."""
    return exact_log2(bytes_per_beat)
