"""LD and ST, the two DMA units: instructions, operations, meaning, effects, ideal cycles."""
