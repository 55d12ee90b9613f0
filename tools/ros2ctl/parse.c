/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers on the command line: the whole text must be the number. */
#include "config.h"

#include "tools/ros2ctl/parse.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* strtoull takes "-1" and leading blanks. */
static bool parse_unsigned(const char *text, int base, const char **end_p, uint64_t *value_p)
{
    if (!isdigit((unsigned char)text[0]))
        return false;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, base);
    if (errno != 0)
        return false;
    *end_p = end;
    *value_p = value;
    return true;
}

/* The exponent of 2 that a unit stands for, or -1. */
static int unit_shift(const char *unit)
{
    static const char letters[] = "KMGT";

    if (unit[0] == '\0' || strcmp(unit, "B") == 0)
        return 0;
    const char *letter = strchr(letters, toupper((unsigned char)unit[0]));
    if (!letter || *letter == '\0')
        return -1;
    if (unit[1] != '\0' && strcmp(unit + 1, "iB") != 0 && strcmp(unit + 1, "i") != 0)
        return -1;
    return 10 * (int)(letter - letters + 1);
}

bool ctl_parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *value_p)
{
    const char *end;
    uint64_t value;

    if (!parse_unsigned(text, 10, &end, &value))
        return false;
    int shift = unit_shift(end);
    if (shift < 0 || value > UINT64_MAX >> shift)
        return false;
    value <<= shift;
    if (value < min || value > max)
        return false;
    *value_p = value;
    return true;
}

bool ctl_parse_count(const char *text, unsigned min, unsigned max, unsigned *value_p)
{
    const char *end;
    uint64_t value;

    if (!parse_unsigned(text, 10, &end, &value) || *end != '\0' || value < min || value > max)
        return false;
    *value_p = (unsigned)value;
    return true;
}

bool ctl_parse_seconds(const char *text, unsigned max, uint64_t *ns_p)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end != '\0' || !isfinite(seconds) || seconds < 1e-9 || seconds > max)
        return false;
    *ns_p = (uint64_t)(seconds * 1e9);
    return true;
}

bool ctl_parse_mode(const char *text, mode_t *mode_p)
{
    const char *end;
    uint64_t value;

    if (!parse_unsigned(text, 8, &end, &value) || *end != '\0' || value > 0777)
        return false;
    *mode_p = (mode_t)value;
    return true;
}
