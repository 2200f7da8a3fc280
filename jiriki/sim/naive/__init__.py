"""The timing contract told once more, cycle by cycle, to hold the fast kernel against."""
