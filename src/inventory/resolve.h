/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two later steps of inventory_load(), on domains whose files have been read. Private to this folder.
 */
#pragma once

#include "inventory/inventory.h"

/**
 * inventory_resolve() - references, inheritance, defaults: fills everything of each domain but its name and file
 *
 * Appends what is wrong to @reterr. Return: 0 or a negative error.
 */
int inventory_resolve(Inventory *inventory, Diagnostics *reterr);

/** inventory_check() - the rules that involve more than one value or one domain. Return: 0 or a negative error */
int inventory_check(const Inventory *inventory, Diagnostics *reterr);
