"""A clock domain that stands still while its logic has nothing to do.

In: a signal of the surrounding domain that says in which cycles the domain's registers may change
(it must rise in or before the first of them). Out: the domain, clocked through the cell
`verilog/jiriki_clock_gate.v`; its reset is that of the surrounding domain, and wakes it.
"""

from amaranth.hdl import ClockDomain, ClockSignal, Instance, Module, ResetSignal, Value


def add_gated_domain(m: Module, name: str, wakes: Value) -> None:
    """Add the domain `name` to `m` and what is below it."""
    domain = ClockDomain(name, local=True)
    m.domains += domain
    m.d.comb += ResetSignal(name).eq(ResetSignal())
    m.submodules[f"{name}_clock"] = Instance(
        "jiriki_clock_gate",
        i_clk=ClockSignal(),
        i_enable=wakes | ResetSignal(),
        o_gated=ClockSignal(name),
    )
