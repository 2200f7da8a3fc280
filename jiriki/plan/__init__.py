"""Decisions: one workload over many chips, and what a fleet of them needs.

In: workloads, products, a date. Out: comparisons (`compare`), their page (`compare_page`).
"""
