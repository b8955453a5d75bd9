/* SPDX-License-Identifier: GPL-2.0-or-later */
	.section .rodata
	.globl	builtin_guest_integrity
builtin_guest_integrity:
	.incbin	"src/policy/guest-integrity.yaml"
	.byte	0
	.section .note.GNU-stack, "", @progbits
