/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* assayd-scout: the mount namespaces of others, what they run, what overlays do here, what openers
 * are at, what those run that are let open what they like, and ways that lead past servers. */
#include "programs/assayd/peek/peek_process.h"
#include "programs/assayd/process/spawner.h"
#include "programs/assayd/scout/overlay_probe.h"
#include "programs/assayd/scout/scout_process.h"
#include "programs/assayd/scout/walk_process.h"
#include "programs/assayd/usher/usher.h"
#include "programs/assayd/vouch/vouch_process.h"

int main(int argc, char **argv)
{
	static const child_fn roles[CHILD_ROLE_COUNT] = {
		[CHILD_SCOUT] = scout_process,
		[CHILD_WALKER] = walk_process,
		[CHILD_OVERLAY_PROBE] = overlay_probe_process,
		[CHILD_PEEK] = peek_process,
		[CHILD_VOUCH] = vouch_process,
		[CHILD_USHER] = usher_process,
	};

	return child_program(argc, argv, roles);
}
