# SPDX-License-Identifier: MIT
"""Attention for PyTorch: operators of torch.library with gradients, on CPU tensors in place.

    from pymfa.torch import attention, attention_varlen, scaled_dot_product_attention

`torch.ops.pymfa` has what they call: attention, attention_varlen, and _backward of both. PyTorch is
not a dependency of pymfa; importing this module needs it.
"""

from .dense import attention, scaled_dot_product_attention
from .packed import attention_varlen

__all__ = ["attention", "attention_varlen", "scaled_dot_product_attention"]
