/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Word to the service manager, by the protocol of sd_notify(3), which systemd keeps stable. Not its
 * library: that comes with five others into each process, and waits while the manager does not
 * read; the manager may be waiting for us to answer its own open.
 */
#pragma once

#include <stdbool.h>

/* Lines "KEY=VALUE", as printf(); at most 511 bytes. Nothing if there is no manager
 * ($NOTIFY_SOCKET); given up after a tenth of a second if it does not read: false, it was not told.
 */
bool notify_manager(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
