"""Decisions: one workload over many chips, and what a fleet of them needs.

In: workloads, products, a date. Out: comparisons (`compare`), their page (`compare_page`). In: a
demand's TOML. Out: a fleet month by month (`fleet`), its page (`fleet_page`).
"""
