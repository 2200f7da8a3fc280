"""Plans for the vector unit: elementwise expressions, pooling, reductions."""
