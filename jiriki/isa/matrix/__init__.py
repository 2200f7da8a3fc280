"""MX, the matrix unit: instructions, operations, meaning, effects, ideal cycles."""
