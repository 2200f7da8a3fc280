"""Random convolution networks for the tests: graphs built by hand, no frontend in between."""

import numpy as np

from jiriki.graph.graph import DType, Graph, Node, Port, TensorType


class NetworkBuilder:
    """Collects nodes, tensors and constants of a small int8 network."""

    def __init__(self, seed: int, shape: tuple[int, int, int, int]) -> None:
        self.rng = np.random.default_rng(seed)
        self.tensors = {"x": TensorType(shape, DType.I8)}
        self.constants: dict[str, np.ndarray] = {}
        self.nodes: list[Node] = []
        self.input = Port("x", "float32", shape, 0.05, 3)

    def constant(self, name: str, array: np.ndarray) -> str:
        self.constants[name] = array
        self.tensors[name] = TensorType(array.shape, DType.of(array.dtype))
        return name

    def conv(
        self,
        x: str,
        outputs: int,
        kernel: tuple[int, int] = (1, 1),
        strides: tuple[int, int] = (1, 1),
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        dilations: tuple[int, int] = (1, 1),
        group: int = 1,
        w_zp: int = 0,
    ) -> str:
        name = f"conv{len(self.nodes)}"
        n, c, h, w = self.tensors[x].shape
        weights = self.rng.integers(-128, 128, (outputs, c // group, *kernel)).astype(np.int8)
        spread = 30.0 / 74 / 74 / np.sqrt(weights[0].size)
        multiplier = (spread * self.rng.uniform(0.5, 1.5, outputs)).astype(np.float32)
        inputs = (
            x,
            self.constant(f"{name}_w", weights),
            self.constant(f"{name}_b", self.rng.integers(-9000, 9000, outputs).astype(np.int32)),
            self.constant(f"{name}_m", multiplier),
        )
        size = [
            (length + pads[i] + pads[i + 2] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1
            for i, length in enumerate((h, w))
        ]
        attrs = {
            "strides": strides, "pads": pads, "dilations": dilations, "group": group, "x_zp": 3,
            "w_zp": w_zp, "out_zp": 3, "lo": -100, "hi": 127, "out": "i8",
        }  # fmt: skip
        self.tensors[name] = TensorType((n, outputs, *size), DType.I8)
        self.nodes.append(Node("conv", name, inputs, (name,), attrs, name))
        return name

    def add(self, a: str, b: str) -> str:
        name = f"add{len(self.nodes)}"
        self.tensors[name] = self.tensors[a]
        attrs = {"ra": 0.73, "rb": 0.41, "fixed": -0.37, "lo": -128, "hi": 120}
        self.nodes.append(Node("qadd", name, (a, b), (name,), attrs, name))
        return name

    def lut(self, x: str) -> str:
        name = f"lut{len(self.nodes)}"
        table = self.constant(f"{name}_t", self.rng.integers(-128, 128, 256).astype(np.int8))
        self.tensors[name] = self.tensors[x]
        self.nodes.append(Node("lut", name, (x, table), (name,), {}, name))
        return name

    def pool(
        self,
        op: str,
        x: str,
        kernel: tuple[int, int],
        strides: tuple[int, int],
        pads: tuple[int, int, int, int],
        dilations: tuple[int, int],
    ) -> str:
        """Add a maxpool or a qavgpool that counts a part of its padding."""
        name = f"{op}{len(self.nodes)}"
        n, c, *spatial = self.tensors[x].shape
        size = [
            (length + pads[i] + pads[i + 2] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1
            for i, length in enumerate(spatial)
        ]
        attrs = {"kernel": kernel, "strides": strides, "pads": pads, "dilations": dilations}
        if op == "qavgpool":
            counted = tuple(int(self.rng.integers(0, pad + 1)) for pad in pads)
            attrs |= {
                "counted": counted, "x_zp": 3, "ratio": 1.3, "out_zp": 3, "lo": -128, "hi": 127,
            }  # fmt: skip
        self.tensors[name] = TensorType((n, c, *size), DType.I8)
        self.nodes.append(Node(op, name, (x,), (name,), attrs, name))
        return name

    def graph(self, output: str) -> Graph:
        port = Port(output, "float32", self.tensors[output].shape, 0.1, 0)
        graph = Graph(
            "random", (self.input,), (port,), self.tensors, self.constants, tuple(self.nodes)
        )
        graph.verify()
        return graph


def random_network(seed: int, layers: int) -> Graph:
    """Return a network of `layers` random convolutions, pools, adds and tables on odd sizes."""
    rng = np.random.default_rng(seed)
    channels = int(rng.integers(1, 40))
    size = rng.integers(5, 30, 2)
    b = NetworkBuilder(seed, (int(rng.integers(1, 3)), channels, int(size[0]), int(size[1])))
    values = ["x"]
    for _ in range(layers):
        x = values[-1]
        _, c, h, w = b.tensors[x].shape
        kind = rng.integers(0, 8)
        k = (int(rng.integers(1, min(6, h) + 1)), int(rng.integers(1, min(6, w) + 1)))
        top, left, bottom, right = (int(p) for p in rng.integers(0, 3, 4))
        pads = (top, left, bottom, right)
        strides = (int(rng.integers(1, 3)), int(rng.integers(1, 3)))
        same = [v for v in values[:-1] if b.tensors[v].shape == b.tensors[x].shape]
        if kind == 0 and same:
            values.append(b.add(x, same[int(rng.integers(0, len(same)))]))
        elif kind == 1:
            values.append(b.lut(x))
        elif kind == 2 and c > 1:
            values.append(b.conv(x, c, k, strides, pads, group=c))
        elif kind == 3 and c % 2 == 0:
            values.append(b.conv(x, 2 * int(rng.integers(1, 20)), k, (1, 1), pads, group=2))
        elif kind >= 6:
            op = ("maxpool", "qavgpool")[kind - 6]
            dilations = (1 + int(k[0] > 1 and k[0] * 2 <= h), 1 + int(k[1] > 1 and k[1] * 2 <= w))
            pads = (min(top, k[0] - 1), min(left, k[1] - 1), 0, min(right, k[1] - 1))
            values.append(b.pool(op, x, k, strides, pads, dilations))
        elif kind == 4:
            values.append(b.conv(x, int(rng.integers(1, 70)), w_zp=int(rng.integers(-40, 40))))
        else:
            values.append(b.conv(x, int(rng.integers(1, 70)), k, strides, pads))
    return b.graph(values[-1])
