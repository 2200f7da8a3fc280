"""Observation of a float model's inner tensors on the calibration feeds.

In: a float model, names of tensors and feeds. Out: for each feed, the values by name. Nothing is
rewritten, so that what is seen is what the model as written computes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import onnx

from jiriki.frontend.onnx.reference import plain_session, run_reference


def observe(
    model: onnx.ModelProto, names: Iterable[str], feeds: Iterable[Mapping[str, np.ndarray]]
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the named tensors and the outputs for each feed; stored tensors are not among them."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known = {tensor.name for tensor in (*model.graph.output, *model.graph.initializer)}
    for name in names:
        if name and name not in known:
            known.add(name)
            copy.graph.output.append(onnx.ValueInfoProto(name=name))
    session = plain_session(copy)
    for feed in feeds:
        yield run_reference(session, feed)
