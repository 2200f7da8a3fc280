"""Published results, one TOML a workload; read by `cost.analytic.published`."""
