"""Inputs to try commands on, by the names of their files.

The tutorials use them as `examples/NAME`; `jiriki examples --out examples` writes them there.
"""

EXAMPLES = {
    "2025-08-inference-cloud.toml": "what a cloud in China should buy, August 2025: `jiriki plan`",
    "cache.jk": "a program by hand that keeps a state: `jiriki run --session`",
    "matmul.jk": "a program by hand, one int8 matmul on chip nano: `jiriki run`, `jiriki verify`",
}
