"""VX, the vector unit: instructions, operations, meaning, effects, ideal cycles."""
