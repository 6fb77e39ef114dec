/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite with our faults in it: its file calls ask FAULT_OPEN, _READ, _WRITE (disk full), _FSYNC,
 * _RENAME (unlink) and _MMAP (shared memory), so that a fault loop reaches below our own code. Its
 * allocations, thousands per call, have a counter of their own. Call store_vfs_install once, before
 * the first use of SQLite. */
#pragma once

#include "base/err.h"
#include "base/fault.h"

#include <malloc.h>
#include <sqlite3.h>
#include <stdlib.h>

/* --- allocation --- */

static long store_vfs_left;   /* the allocation that fails, counted from now; 0: none */
static bool store_vfs_sticky; /* and all after it */
static bool store_vfs_oom;    /* one failed */

static bool store_vfs_no_memory(void) {
    if (store_vfs_left == 0 || --store_vfs_left > 0)
        return false;
    store_vfs_left = store_vfs_sticky;
    return store_vfs_oom = true;
}

__attribute__((unused)) static void store_vfs_arm(long nth, bool sticky) {
    store_vfs_left = nth;
    store_vfs_sticky = sticky;
    store_vfs_oom = false;
}

static void *store_vfs_malloc(int n) { return store_vfs_no_memory() ? NULL : malloc((size_t)n); }
static void *store_vfs_realloc(void *p, int n) {
    return store_vfs_no_memory() ? NULL : realloc(p, (size_t)n);
}
static int store_vfs_size(void *p) { return p ? (int)malloc_usable_size(p) : 0; }
static int store_vfs_roundup(int n) { return (n + 7) & ~7; }
static int store_vfs_init(void *data) { return data ? SQLITE_OK : SQLITE_OK; }
static void store_vfs_shutdown(void *data) { (void)data; }

static const sqlite3_mem_methods store_vfs_memory = {
    .xMalloc = store_vfs_malloc,
    .xFree = free,
    .xRealloc = store_vfs_realloc,
    .xSize = store_vfs_size,
    .xRoundup = store_vfs_roundup,
    .xInit = store_vfs_init,
    .xShutdown = store_vfs_shutdown,
};

/* --- files: each forwards to the real one, which lies behind it in the same block --- */

struct store_vfs_file {
    sqlite3_file base;
    sqlite3_file *real;
    const char *name; /* borrowed from SQLite */
    bool fresh;       /* a log or journal just made: its first sync also syncs the folder */
};

/* Called after each sync, also one that failed: the disk may well have written all of it and then
 * said so. May be NULL. */
static void (*store_vfs_synced)(const char *path, bool with_folder);

static sqlite3_vfs *store_vfs_real;

#define REAL(f) (((struct store_vfs_file *)(f))->real)
#define CALL(f, name, ...) REAL(f)->pMethods->name(REAL(f), ##__VA_ARGS__)

static int store_vfs_close(sqlite3_file *f) { return CALL(f, xClose); }
static int store_vfs_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at) {
    return FAULT(FAULT_READ) ? SQLITE_IOERR_READ : CALL(f, xRead, p, n, at);
}
static int store_vfs_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at) {
    return FAULT(FAULT_WRITE) ? SQLITE_FULL : CALL(f, xWrite, p, n, at);
}
static int store_vfs_truncate(sqlite3_file *f, sqlite3_int64 n) {
    return FAULT(FAULT_WRITE) ? SQLITE_IOERR_TRUNCATE : CALL(f, xTruncate, n);
}
static int store_vfs_sync(sqlite3_file *f, int flags) {
    struct store_vfs_file *mine = (struct store_vfs_file *)f;
    int rc = FAULT(FAULT_FSYNC) ? SQLITE_IOERR_FSYNC : CALL(f, xSync, flags);
    if (store_vfs_synced && mine->name)
        store_vfs_synced(mine->name, mine->fresh && rc == SQLITE_OK);
    mine->fresh = mine->fresh && rc != SQLITE_OK;
    return rc;
}
static int store_vfs_file_size(sqlite3_file *f, sqlite3_int64 *n) { return CALL(f, xFileSize, n); }
static int store_vfs_lock(sqlite3_file *f, int level) { return CALL(f, xLock, level); }
static int store_vfs_unlock(sqlite3_file *f, int level) { return CALL(f, xUnlock, level); }
static int store_vfs_reserved(sqlite3_file *f, int *out) {
    return CALL(f, xCheckReservedLock, out);
}
static int store_vfs_control(sqlite3_file *f, int op, void *arg) {
    return CALL(f, xFileControl, op, arg);
}
static int store_vfs_sector(sqlite3_file *f) { return CALL(f, xSectorSize); }
static int store_vfs_traits(sqlite3_file *f) { return CALL(f, xDeviceCharacteristics); }
static int store_vfs_shm_map(sqlite3_file *f, int page, int bytes, int extend,
                             void volatile **out) {
    return FAULT(FAULT_MMAP) ? SQLITE_IOERR_SHMMAP : CALL(f, xShmMap, page, bytes, extend, out);
}
static int store_vfs_shm_lock(sqlite3_file *f, int at, int n, int flags) {
    return CALL(f, xShmLock, at, n, flags);
}
static void store_vfs_shm_barrier(sqlite3_file *f) { CALL(f, xShmBarrier); }
static int store_vfs_shm_unmap(sqlite3_file *f, int del) { return CALL(f, xShmUnmap, del); }

static const sqlite3_io_methods store_vfs_methods = {
    .iVersion = 2,
    .xClose = store_vfs_close,
    .xRead = store_vfs_read,
    .xWrite = store_vfs_write,
    .xTruncate = store_vfs_truncate,
    .xSync = store_vfs_sync,
    .xFileSize = store_vfs_file_size,
    .xLock = store_vfs_lock,
    .xUnlock = store_vfs_unlock,
    .xCheckReservedLock = store_vfs_reserved,
    .xFileControl = store_vfs_control,
    .xSectorSize = store_vfs_sector,
    .xDeviceCharacteristics = store_vfs_traits,
    .xShmMap = store_vfs_shm_map,
    .xShmLock = store_vfs_shm_lock,
    .xShmBarrier = store_vfs_shm_barrier,
    .xShmUnmap = store_vfs_shm_unmap,
};

#undef CALL
#undef REAL

static int store_vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                          int *out) {
    struct store_vfs_file *f = (struct store_vfs_file *)file;
    (void)vfs;
    f->base.pMethods = NULL;
    if (FAULT(FAULT_OPEN))
        return SQLITE_CANTOPEN;
    f->real = (sqlite3_file *)(f + 1);
    f->name = name;
    f->fresh =
        (flags & SQLITE_OPEN_CREATE) && (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL));
    int rc = store_vfs_real->xOpen(store_vfs_real, name, f->real, flags, out);
    if (f->real->pMethods)
        f->base.pMethods = &store_vfs_methods;
    return rc;
}

static int store_vfs_delete(sqlite3_vfs *vfs, const char *name, int sync) {
    (void)vfs;
    return FAULT(FAULT_RENAME) ? SQLITE_IOERR_DELETE
                               : store_vfs_real->xDelete(store_vfs_real, name, sync);
}

static void store_vfs_install(void) {
    static sqlite3_vfs vfs;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &store_vfs_memory) != SQLITE_OK ||
        sqlite3_initialize() != SQLITE_OK)
        abort();
    store_vfs_real = sqlite3_vfs_find(NULL);
    vfs = *store_vfs_real;
    vfs.zName = "faulty";
    vfs.szOsFile = (int)sizeof(struct store_vfs_file) + store_vfs_real->szOsFile;
    vfs.xOpen = store_vfs_open;
    vfs.xDelete = store_vfs_delete;
    if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK)
        abort();
}
