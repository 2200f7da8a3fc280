"""Accelerators that only the published results know: products outside the catalogue."""
