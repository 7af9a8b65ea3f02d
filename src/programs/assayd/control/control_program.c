/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* assayd-control: who asks. */
#include "programs/assayd/process/spawner.h"
#include "programs/assayd/control/control_process.h"

int main(int argc, char **argv)
{
	static const child_fn roles[CHILD_ROLE_COUNT] = { [CHILD_CONTROL] = control_process };

	return child_program(argc, argv, roles);
}
