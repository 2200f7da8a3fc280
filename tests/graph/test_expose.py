"""Every tensor an output: nothing stays inside, and the network's own outputs are unchanged."""

from __future__ import annotations

import numpy as np

from jiriki.graph import evaluate
from jiriki.graph.expose import with_every_tensor
from tests.graph.graphs import Draft


def test_results_of_all_nodes_are_outputs_in_their_order():
    draft = Draft()
    x = draft.input("x", (2, 6))
    a = draft.node("reshape", [x], {"shape": (3, 4)}, "a")
    b = draft.node("transpose", [a], {"perm": (1, 0)}, "b")
    draft.node("reshape", [b], {"shape": (2, 6)}, "y")
    exposed = with_every_tensor(draft.graph("y"))
    exposed.verify()
    values = np.arange(12, dtype=np.float32).reshape(2, 6)
    feed = {"x": values.astype(exposed.inputs[0].external)}
    results = evaluate(exposed, feed)
    assert list(results) == ["a", "b", "y"]
    np.testing.assert_array_equal(results["b"], feed["x"].reshape(3, 4).T)
    np.testing.assert_array_equal(results["y"], evaluate(draft.graph("y"), feed)["y"])
