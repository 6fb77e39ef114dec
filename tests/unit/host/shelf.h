/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a temporary folder, for as long as a program's tests run. */
#pragma once

#include "tiny_model.h"

#include "../base/check.h"

#include <dirent.h>

static char folder[64];
static struct store *store;
static struct err e;

static inline int shelf_open(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "%s/slipway-unit-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    return !mkdtemp(folder) || store_open(folder, true, &store, &e) != OK;
}

static inline int shelf_close(void **state) {
    char command[96];
    (void)state;
    store_close(store);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* How many entries of its folder begin so. */
static inline int shelf_holds(const char *start) {
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *f; d && (f = readdir(d)) != NULL;)
        n += str_starts(str_of(f->d_name), start);
    if (d)
        closedir(d);
    return n;
}
