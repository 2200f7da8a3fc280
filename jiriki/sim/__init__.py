"""Simulators: `functional` gives a Program's exact values, `timing` its cycles; one sequencer."""
