"""What the shell completes where a command wants a name.

In: what has been typed of it. Out: the names that begin so; where none does, the shell offers
files. Names come from the catalogues, so that a chip or model that is added is completed too.
"""

from collections.abc import Iterable


def chips(incomplete: str) -> list[str]:
    """Complete a chip of the catalogue."""
    from jiriki.chip import chip_names

    return _beginning(incomplete, chip_names())


def models(incomplete: str) -> list[str]:
    """Complete a model of the zoo."""
    from jiriki.frontend.zoo import list_models

    return _beginning(incomplete, (card.name for card in list_models()))


def engines(incomplete: str) -> list[str]:
    """Complete an engine, one of a plug-in too."""
    from jiriki.engines import engine_names

    return _beginning(incomplete, engine_names())


def products(incomplete: str) -> list[str]:
    """Complete a product of the catalogue."""
    from jiriki.products.product import product_ids

    return _beginning(incomplete, product_ids())


def tiles_and_products(incomplete: str) -> list[str]:
    """Complete what `jiriki cost` takes."""
    return chips(incomplete) + products(incomplete)


def processes(incomplete: str) -> list[str]:
    """Complete a process node."""
    from jiriki.cost.process import process_ids

    return _beginning(incomplete, process_ids())


def workloads(incomplete: str) -> list[str]:
    """Complete a workload of `jiriki compare`."""
    from jiriki.predict.workload import workload_ids

    return _beginning(incomplete, workload_ids())


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
