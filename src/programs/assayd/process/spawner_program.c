/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* assayd-spawner: starts the others. */
#include "programs/assayd/process/spawner.h"

int main(int argc, char **argv)
{
	static const child_fn roles[CHILD_ROLE_COUNT] = { 0 }; /* the spawner's needs no naming */

	return child_program(argc, argv, roles);
}
