"""VX in gates: the vector unit, its fp32 lanes, chain, reduction, tables and streams."""
