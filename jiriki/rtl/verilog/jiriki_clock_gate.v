// A clock that stands still while `enable` is low: a latch that is open in the low phase, and an AND.
// A foundry's clock-gating cell goes here. What it clocks keeps its state without being enabled, so
// that JIRIKI_UNGATED (for an FPGA) may let the clock through: nothing but power changes.
module jiriki_clock_gate (
  input  wire clk,
  input  wire enable,
  output wire gated
);
`ifdef JIRIKI_UNGATED
  assign gated = clk;
`else
  reg open;
  // verilator lint_off LATCH
  always @*
    if (!clk)
      open = enable;
  // verilator lint_on LATCH
  assign gated = clk & open;
`endif
endmodule
