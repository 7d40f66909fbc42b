/* Finds the files that belong to the program. */
#ifndef CONFAB_INSTALL_H
#define CONFAB_INSTALL_H

#include "common/base.h"

/* Writes the first of `places` (ended by NULL) that can be read; a place that begins with '@' is
 * seen from the directory of the executable, symbolic links resolved. False: none of them is there.
 */
MUST_USE bool install_find(const char *const *places, char *out, size_t size);

#endif
