"""Facts about chips as bought or built: figures with unit, source and range, product by product.

In: the TOML files of `catalogue/` and `sources.toml`. Out: `Product`, `Figure`, `Range`. `table.py`
is the reader of every TOML of facts, of this room and of the rooms above.
"""
