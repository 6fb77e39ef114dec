/* SPDX-License-Identifier: Apache-2.0 */
/* Every operator, by file. Read by eye as the folder's table of contents; expanded by op_list.h and op_list.c. */
