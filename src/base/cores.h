/* SPDX-License-Identifier: Apache-2.0 */
/* The core ledger: one count of cores for the whole process. A run asks for cores before it
 * computes and gives them back after: a single request gets all, many requests get one each, and
 * the sum never exceeds the cores (house.md §5). */
#pragma once

#include <stdint.h>

/* Once at start: --threads, or cpu_cores(). A program that calls it has idle OpenMP threads sleep
 * after a short spin instead of burning a core; cores.c says how. */
void cores_setup(int cores);
int cores_total(void);
/* Waits until at least one core is free; returns how many were granted, 1..want. waiting > 0
 * elsewhere lowers the grant. */
int cores_take(int want);
/* The same behind all who wait already: for those who come back at once, step after step, and would
 * find the cores free before a waiter has woken. */
int cores_take_behind(int want);
void cores_give(int granted);
int cores_waiting(void);
