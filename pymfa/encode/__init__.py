# SPDX-License-Identifier: MIT
"""One module per operation: checked arrays in, one or more calls of the C ABI out."""
