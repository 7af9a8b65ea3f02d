/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* assayd-worker: digests of what it is handed. */
#include "programs/assayd/process/spawner.h"
#include "programs/assayd/worker/worker.h"

int main(int argc, char **argv)
{
	static const child_fn roles[CHILD_ROLE_COUNT] = { [CHILD_WORKER] = worker_process };

	return child_program(argc, argv, roles);
}
