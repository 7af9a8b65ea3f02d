/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* assayd-spawner: starts the others. */
#include "programs/assayd/process/spawner_process.h"

static int bounded_spawner(void)
{
	return spawner_sandbox() < 0 ? 1 : spawner_process();
}

int main(int argc, char **argv)
{
	static const child_fn roles[CHILD_ROLE_COUNT] = { [CHILD_SPAWNER] = bounded_spawner };

	return child_program(argc, argv, roles);
}
