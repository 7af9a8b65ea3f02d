/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* assayd-scout: the mount namespaces of others, what they run, what overlays do here, and what
 * openers are at. */
#include "programs/assayd/peek/peek_process.h"
#include "programs/assayd/process/spawner.h"
#include "programs/assayd/scout/overlay_probe.h"
#include "programs/assayd/scout/scout_process.h"
#include "programs/assayd/scout/walk_process.h"

int main(int argc, char **argv)
{
	static const child_fn roles[CHILD_ROLE_COUNT] = {
		[CHILD_SCOUT] = scout_process,
		[CHILD_WALKER] = walk_process,
		[CHILD_OVERLAY_PROBE] = overlay_probe_process,
		[CHILD_PEEK] = peek_process,
	};

	return child_program(argc, argv, roles);
}
