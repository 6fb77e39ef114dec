/* SPDX-License-Identifier: Apache-2.0 */
/* Lodgings: see lodging.h. */
#include "job/lodging.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME_BYTES = 128, OPEN_FOLDERS = 8 };

enum code lodging_open(struct store *s, struct lodging *l, struct err *e) {
    snprintf(l->folder, sizeof l->folder, "%s/.arrival-XXXXXX", store_folder(s));
    l->path[0] = '\0';
    return mkdtemp(l->folder) ? OK : fail_errno(e, errno, "%s", l->folder);
}

void lodging_place(struct lodging *l, struct str name) {
    size_t slash = name.n;
    while (slash && name.p[slash - 1] != '/')
        slash--;
    name = str_sub(name, slash, name.n < slash + NAME_BYTES ? name.n : slash + NAME_BYTES);
    snprintf(l->path, sizeof l->path, "%s/%.*s", l->folder, STR(name.n ? name : LIT("model")));
}

static int drop(const char *path, const struct stat *is, int kind, struct FTW *at) {
    (void)is;
    (void)kind;
    (void)at;
    (void)remove(path);
    return 0;
}

static void hide(const char *folder, struct err *e) {
    char *at = strstr(e->text, folder);
    size_t n = strlen(folder);
    if (!at)
        return;
    n += at[n] == '/';
    memmove(at, at + n, strlen(at + n) + 1);
}

void lodging_close(const struct lodging *l, enum code code, struct err *e) {
    if (code != OK)
        hide(l->folder, e);
    (void)nftw(l->folder, drop, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS);
}
