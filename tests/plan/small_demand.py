"""A small demand whose numbers can be checked by hand: measured rates, two chips, three months."""

SMALL = """
title = "Small"
home = "CN"
start = "2025-09"
months = 3
source = "made up"
date = 2025-08-29

[economics]
pue = { value = 1.25, unit = "1" }
spare = { value = 5, unit = "%" }

[limits]
power = { value = 200, unit = "kW" }

[[service]]
id = "chat"
workload = "llama-3.1-8b"
mode = "server"
rate = { value = 100000, unit = "tokens/s" }
growth = { low = 0, base = 10, high = 20, unit = "%/month" }
worth = { value = 20, unit = "USD/million tokens" }

[[stock]]
chip = "h20"
count = 16

[[software]]
chip = "h20"
[[software.rate]]
service = "chat"
measured = { value = 2000, unit = "tokens/s" }

[[software]]
chip = "ascend-910c"
[[software.rate]]
service = "chat"
measured = { value = 5000, unit = "tokens/s" }

[[supply]]
id = "h20"
chip = "h20"
price = { value = 12000, unit = "USD" }
per_month = { value = 60, unit = "chips/month" }
lead_days = 30

[[supply]]
id = "huawei"
chip = "ascend-910c"
price = { value = 40000, unit = "USD" }

[[event]]
name = "licence"
kind = "allow"
of = ["h20"]
from = 2025-07-15
"""
