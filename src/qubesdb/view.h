/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the inventory says that a domain may know of itself, as QubesDB entries (QubesDB specification, 5): its own
 * properties and, of a relay, the RemoteVMs behind it. Nothing of another domain.
 */
#pragma once

#include "inventory/inventory.h"
#include "qubesdb/store.h"

/** /remote/NAME: the name over there; /remotes/NAME, the same, for scripts that follow the older text. */
#define QUBESDB_VIEW_REMOTE  "/remote/"
#define QUBESDB_VIEW_REMOTES "/remotes/"
/** Ours: /remote-host/NAME, the host that the relay connects to; absent if `remote_host` is not set. */
#define QUBESDB_VIEW_REMOTE_HOST "/remote-host/"

/** qubesdb_view_fill() - write the entries of @domain into the empty @store. Return: 0 or a negative error */
int qubesdb_view_fill(const Inventory *inventory, const InventoryDomain *domain, QubesdbStore *store);
