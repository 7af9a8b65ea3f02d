/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program that does nothing, and needs no other file for it. */
int main(void)
{
	return 0;
}
