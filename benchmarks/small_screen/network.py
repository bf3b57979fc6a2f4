"""The network: seven plain convolutions, two coarse maps of "text here", and its form for ONNX Runtime."""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

__all__ = ["SmallScreenNet", "as_onnx"]

_LAYERS = ((5, 2, 16), (3, 2, 32), (3, 1, 32), (3, 2, 48), (3, 1, 48), (3, 2, 64), (3, 1, 64))
"""Kernel, stride and channels. The first map is taken after the fifth (stride 8), the second at the end (16)."""
_FINE_AFTER = 4
_OPSET, _IR_VERSION = 17, 8


class SmallScreenNet(nn.Module):
    """Grey pictures (n, 1, rows, columns) from 0 to 1, sides multiples of 16, to logits at strides 8 and 16."""

    def __init__(self) -> None:
        super().__init__()
        inputs = (1, *(channels for _, _, channels in _LAYERS))
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, channels, kernel, stride, kernel // 2, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            )
            for before, (kernel, stride, channels) in zip(inputs, _LAYERS, strict=False)
        )
        self.fine = nn.Conv2d(_LAYERS[_FINE_AFTER][2], 1, 1)
        self.coarse = nn.Conv2d(_LAYERS[-1][2], 1, 1)
        for head in (self.fine, self.coarse):
            nn.init.constant_(head.bias, -3.0)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Return the two maps, (n, 1, rows / 8, columns / 8) and (n, 1, rows / 16, columns / 16)."""
        fine = picture
        for number, layer in enumerate(self.layers):
            picture = layer(picture)
            if number == _FINE_AFTER:
                fine = self.fine(picture)
        return fine, self.coarse(picture)


def _folded(layer: nn.Sequential) -> tuple[np.ndarray, np.ndarray]:
    """Return weight and bias of a convolution with its normalization in them."""
    convolution, norm = layer[0], layer[1]
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    weight = convolution.weight * gain[:, None, None, None]
    bias = norm.bias - norm.running_mean * gain
    return weight.detach().float().cpu().numpy(), bias.detach().float().cpu().numpy()


def as_onnx(net: SmallScreenNet) -> bytes:
    """Return the network as an ONNX model: input ``picture``, outputs ``fine`` and ``coarse``."""
    nodes, weights, at = [], [], "picture"
    for number, layer in enumerate(net.layers):
        kernel, stride, _ = _LAYERS[number]
        weights += [
            numpy_helper.from_array(value, f"{kind}{number}")
            for kind, value in zip(("weight", "bias"), _folded(layer), strict=True)
        ]
        nodes.append(
            helper.make_node(
                "Conv",
                [at, f"weight{number}", f"bias{number}"],
                [f"sum{number}"],
                kernel_shape=[kernel, kernel],
                strides=[stride, stride],
                pads=[kernel // 2] * 4,
            )
        )
        at = f"map{number}"
        nodes.append(helper.make_node("Relu", [f"sum{number}"], [at]))
    for name, head, source in (("fine", net.fine, f"map{_FINE_AFTER}"), ("coarse", net.coarse, at)):
        for kind, value in (("weight", head.weight), ("bias", head.bias)):
            weights.append(numpy_helper.from_array(value.detach().float().cpu().numpy(), f"{name}_{kind}"))
        nodes.append(helper.make_node("Conv", [source, f"{name}_weight", f"{name}_bias"], [name], kernel_shape=[1, 1]))
    graph = helper.make_graph(
        nodes,
        "small screen",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 1, "rows", "columns"])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1, f"{name} rows", f"{name} columns"])
            for name in ("fine", "coarse")
        ],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
