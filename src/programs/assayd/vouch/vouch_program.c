/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* assayd-vouch: what those run that are let open what they like, with its digest. */
#include "programs/assayd/process/spawner.h"
#include "programs/assayd/vouch/vouch_process.h"

int main(int argc, char **argv)
{
	static const child_fn roles[CHILD_ROLE_COUNT] = { [CHILD_VOUCH_DIGEST] =
								  vouch_digest_process };

	return child_program(argc, argv, roles);
}
