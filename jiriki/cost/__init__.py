"""What a chip costs and what may be built: figures with sources, area, energy, price, export class.

In: a `ChipConfig`, a `Run`, or a chip of the catalogue of real chips. Out: estimates that carry
their range and source. Every number of this room comes from data with a source and a date.
"""
