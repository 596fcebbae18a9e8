"""Where a sliding window lies: output size and padding of convolutions and pools, and how far in place they can go."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mcuml.graph import Graph, Kernel, Node, Tensor
from mcuml.ops import require


@dataclass(frozen=True)
class Axis:
    """One spatial dimension: `size` input and `out` output elements, window of `taps` at `dilation`, moved by `stride`,
    with `pad` implicit elements in front."""

    size: int
    out: int
    taps: int
    stride: int
    dilation: int
    pad: int

    @property
    def inside(self) -> int:
        """How many of the windows lie wholly inside the input."""
        starts = [i * self.stride - self.pad for i in range(self.out)]
        return sum(start >= 0 and start + (self.taps - 1) * self.dilation < self.size for start in starts)

    @property
    def all_inside(self) -> bool:
        return self.inside == self.out


def axis(size: int, taps: int, stride: int, dilation: int, padding: str) -> Axis:
    """TFLite's ComputeOutSize and ComputePadding (kernels/padding.h); `padding` is "SAME" or "VALID"."""
    reach = (taps - 1) * dilation + 1
    if padding == "SAME":
        out = -(-size // stride)
        return Axis(size, out, taps, stride, dilation, max((out - 1) * stride + reach - size, 0) // 2)
    return Axis(size, (size - reach) // stride + 1, taps, stride, dilation, 0)


def window(
    node: Node,
    graph: Graph,
    source: Tensor,
    taps: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: str,
) -> tuple[Axis, Axis]:
    """(vertical, horizontal) axes of an NHWC operator. Raises ModelError where the attributes are not legal or the output's
    height and width are not what they give."""
    output = graph.tensors[node.outputs[0]]
    require(
        len(source.shape) == 4 and len(output.shape) == 4, node, graph, "its input and output must have four dimensions (NHWC)."
    )
    require(source.shape[0] == output.shape[0], node, graph, "its input and output differ in batch size.")
    require(
        min(*stride, *dilation, *taps) >= 1,
        node,
        graph,
        f"stride {stride}, dilation {dilation} and window {taps} must be positive.",
    )
    require(padding in ("SAME", "VALID"), node, graph, f"padding '{padding}' is not known.")
    axes = tuple(axis(source.shape[1 + i], taps[i], stride[i], dilation[i], padding) for i in range(2))
    found = [output.shape[1], output.shape[2]]
    require(
        [a.out for a in axes] == found,
        node,
        graph,
        f"its output is {found[0]}x{found[1]}, but the attributes give {axes[0].out}x{axes[1].out}.",
    )
    return axes[0], axes[1]


def overlap_distance(vertical: Axis, horizontal: Axis, in_channels: int, out_channels: int, item: int = 1) -> int:
    """Least offset(input) - offset(output), in bytes, at which a kernel that walks the output pixels in order, and reads
    each window before it writes the pixel, never overwrites input that it still needs. `item` is bytes per element.

    Before pixel (r, c) is read, all pixels in front of it are written; its window begins at input pixel
    (r * stride - pad, c * stride - pad), or at the first row or column behind that."""
    row_in, row_out = horizontal.size * in_channels * item, horizontal.out * out_channels * item
    in_row = max(c * out_channels - max(0, c * horizontal.stride - horizontal.pad) * in_channels for c in range(horizontal.out))
    above = max(r * row_out - max(0, r * vertical.stride - vertical.pad) * row_in for r in range(vertical.out))
    return max(0, above + in_row * item)


def each_image(kernel: Kernel, source: Tensor, output: Tensor) -> Kernel:
    """`kernel`, which serves one image of `source` (N, ...), for all N in turn: partials/images.c.j2 makes the loop.

    In place, image b's output lies b * (output - input bytes) further from its input than the first one's."""
    batch = source.shape[0]
    params = dict(kernel.params) | {
        "batch": batch, "in_elements": source.elements // batch, "out_elements": output.elements // batch,
    }  # fmt: skip
    growth = (output.bytes - source.bytes) // batch
    overlaps = tuple(
        replace(o, distance=o.distance + (batch - 1) * max(0, growth))
        for o in kernel.overlaps
        if batch == 1 or not o.exact or growth == 0
    )
    return replace(kernel, params=params, overlaps=overlaps, macs=kernel.macs * batch, cycles=kernel.cycles * batch)
