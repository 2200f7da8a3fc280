"""Published results, one TOML a workload; read by `predict.published`."""
