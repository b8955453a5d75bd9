/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way a function returns where the kernel has none of its own, or uses none: arm/resolve.c. */
	.section .text.thunk, "ax"
	.weak	__x86_return_thunk
	.type	__x86_return_thunk, @function
__x86_return_thunk:
	ret
	int3
	.size	__x86_return_thunk, . - __x86_return_thunk
	.section .note.GNU-stack, "", @progbits
