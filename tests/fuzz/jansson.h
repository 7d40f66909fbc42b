/* A second opinion on JSON. Apart from the others, because jansson and common/json.h
 * share names. */
#ifndef CONFAB_FUZZ_JANSSON_H
#define CONFAB_FUZZ_JANSSON_H

#include "common/str.h"

enum opinion { OPINION_NO, OPINION_YES, OPINION_NONE /* it cannot hold such a number or key */ };

enum opinion jansson_reads(struct str text);
/* Containers within each other in what it reads. */
size_t jansson_depth(struct str text);
/* Whether it takes both for the same value. */
bool jansson_same(struct str a, struct str b);

#endif
