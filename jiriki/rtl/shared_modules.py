"""Modules that stand many times in a design and are written once.

Concept: elaborating a lane of the vector unit a hundred times costs minutes, and each copy becomes
code of its own in the simulator. When a design is written as Verilog, `verilog_text` passes a
`SharedModules` as Amaranth's platform; `share` then puts an instance of a named module in place of
the component, and the module is written once behind the design. Without it (Amaranth's own
simulator) the component itself is elaborated.
In: components whose name determines what they are. Out: instances, and the components to write.
"""

# pyright: reportAttributeAccessIssue=false, reportReturnType=false

from amaranth.hdl import ClockSignal, Elaboratable, Instance, ResetSignal, Value
from amaranth.lib import wiring


class SharedModules:
    """The shared modules of a design that is being written, by name."""

    def __init__(self) -> None:
        self.components: dict[str, wiring.Component] = {}

    def instance(self, component: wiring.Component, name: str) -> Instance:
        """Return an instance of module `name` whose ports are those of the component."""
        self.components.setdefault(name, component)
        component._MustUse__used = True  # all but one are never elaborated, as intended
        ports: dict[str, Value] = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        for path, member, value in component.signature.flatten(component):
            kind = "i" if member.flow == wiring.In else "o"
            ports[f"{kind}_{'__'.join(map(str, path))}"] = Value.cast(value)
        return Instance(name, **ports)


def share(platform: object, component: wiring.Component, name: str) -> Elaboratable:
    """Return what to add as submodule: an instance of the shared module, or the component."""
    if isinstance(platform, SharedModules):
        return platform.instance(component, name)
    return component
