/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* assayd-fetch: one file, read while others wait. */
#include "programs/assayd/process/spawner.h"
#include "programs/assayd/fetch/fetch.h"

int main(int argc, char **argv)
{
	static const child_fn roles[CHILD_ROLE_COUNT] = { [CHILD_FETCH] = fetch_process };

	return child_program(argc, argv, roles);
}
