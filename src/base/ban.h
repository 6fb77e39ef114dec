/* SPDX-License-Identifier: Apache-2.0 */
/* Banned by name: each use becomes a compile error (git's banned.h). Forced into every file by the
 * build. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok atoi atol atof       \
    sscanf asctime ctime gmtime localtime
