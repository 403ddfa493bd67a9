// SPDX-License-Identifier: MIT
// MFA_METALLIB, the file meson names -> read-only bytes between two symbols.
#ifdef __APPLE__
#define SYMBOL(name) _##name
        .section __DATA,__const
#else
#define SYMBOL(name) name
        .section .rodata.mfa_metallib, "a"
        .hidden mfa_embedded_metallib
        .hidden mfa_embedded_metallib_end
#endif
        .globl SYMBOL(mfa_embedded_metallib)
        .globl SYMBOL(mfa_embedded_metallib_end)
        .balign 64
SYMBOL(mfa_embedded_metallib):
        .incbin MFA_METALLIB
SYMBOL(mfa_embedded_metallib_end):
        .byte 0
#ifndef __APPLE__
        .section .note.GNU-stack, "", %progbits
#endif
