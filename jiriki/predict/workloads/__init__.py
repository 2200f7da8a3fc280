"""Workloads: one TOML each, its name is the workload's id; read by `predict.workload`."""
