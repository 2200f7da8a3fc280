"""Copies between forms of a tensor: relayouts, transposes, slices, concatenation."""
