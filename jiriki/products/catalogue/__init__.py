"""Chips as bought or built: one TOML a chip, its name is the chip's id; see `products.product`."""
