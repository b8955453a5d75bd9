/* SPDX-License-Identifier: GPL-2.0-or-later */
	.section .rodata
	.globl	guard_object
	.balign	16
guard_object:
	.incbin	GUARD_OBJECT
.Lend:
	.globl	guard_object_size
	.balign	8
guard_object_size:
	.quad	.Lend - guard_object
	.section .note.GNU-stack, "", @progbits
