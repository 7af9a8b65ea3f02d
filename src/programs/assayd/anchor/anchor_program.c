/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* assayd-anchor: the list and the TPM. */
#include "programs/assayd/process/spawner.h"
#include "programs/assayd/anchor/anchor_process.h"

int main(int argc, char **argv)
{
	static const child_fn roles[CHILD_ROLE_COUNT] = { [CHILD_ANCHOR] = anchor_process };

	return child_program(argc, argv, roles);
}
