# SPDX-License-Identifier: MIT
"""Bad input to the calls around attention: gradients, decoding, merging."""

from __future__ import annotations

from typing import Any

import pytest

# The call, its descriptor and its operands.
CALLS = {
    "backward": (
        lambda lib, *given: lib.mfa_attention_backward(*given),
        "mfa_attention_backward_desc",
        "mfa_attention_backward_operands",
    ),
    "decode": (
        lambda lib, *given: lib.mfa_attention_decode(*given),
        "mfa_decode_desc",
        "mfa_decode_operands",
    ),
    "merge": (
        lambda lib, *given: lib.mfa_merge_attention(*given),
        "mfa_merge_desc",
        "mfa_merge_operands",
    ),
}


@pytest.mark.parametrize("what", CALLS)
def test_null_and_sizes(abi: Any, first: Any, what: str) -> None:
    call, desc_type, operands_type = CALLS[what]
    lib, desc, operands = abi.lib, abi.struct(desc_type), abi.struct(operands_type)
    assert call(lib, abi.null, abi.null, operands) == lib.MFA_ERROR_INVALID_ARGUMENT
    assert "NULL" in abi.error()
    assert call(lib, abi.null, desc, abi.null) == lib.MFA_ERROR_INVALID_ARGUMENT
    assert "NULL" in abi.error()
    desc.size = 4
    assert call(lib, abi.null, desc, operands) == lib.MFA_ERROR_INVALID_ARGUMENT
    if what != "backward":  # it reads the forward call's operands first, which are absent here
        assert "expected sizeof(mfa_" in abi.error()


@pytest.mark.parametrize("what", CALLS)
def test_after_commit(abi: Any, first: Any, what: str) -> None:
    call, desc_type, operands_type = CALLS[what]
    commands = first.commands()
    abi.check(abi.lib.mfa_commands_run(commands))
    given = abi.struct(desc_type), abi.struct(operands_type)
    assert call(abi.lib, commands, *given) == abi.lib.MFA_ERROR_WRONG_STATE
    assert "were committed already" in abi.error()


def test_merge_of_absent_operands(abi: Any, first: Any) -> None:
    desc = abi.struct("mfa_merge_desc", R=4, Dv=8)
    operands = abi.struct("mfa_merge_operands")
    found = abi.lib.mfa_merge_attention(abi.null, desc, operands)
    assert found == abi.lib.MFA_ERROR_INVALID_ARGUMENT
    assert "first" in abi.error()
