/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* assayd-view: /run/assay/ima. */
#include "programs/assayd/process/spawner.h"
#include "programs/assayd/view/view.h"

int main(int argc, char **argv)
{
	static const child_fn roles[CHILD_ROLE_COUNT] = { [CHILD_VIEW] = view_process };

	return child_program(argc, argv, roles);
}
