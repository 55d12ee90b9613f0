/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a data set of small files as a training job's loader does: all samples in each epoch, in random order, in batches, by
 * several processes.
 *
 *   loader explode DIR [--from FOLDER]      makes Fashion-MNIST 70,000 files below the local directory DIR
 *   loader run [--path /fashion] [--workers N] [--epochs N] [--batch N] [--seed N] [--checksum HEX] [--refresh]
 *
 * Where the store is comes from the environment (ROS2_URL, ...) or the config file. Exit status: 0 when all is well, 1 when
 * something failed, 2 when the command line is wrong. */
#include "examples/loader.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char speaker[32] = "loader";

int loader_fail(int err, const char *fmt, ...)
{
    char text[LOADER_PATH_MAX + 512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    fprintf(stderr, "%s: %s\n", speaker, text); /* one write: lines of workers do not mix */
    return err;
}

void loader_name_worker(unsigned number)
{
    snprintf(speaker, sizeof(speaker), "loader: worker %u", number);
}

static int parse_number(const char *option, const char *text, uint32_t min, uint32_t max,
                        uint32_t *number_p)
{
    char *end;

    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    /* strtoull() takes blanks and signs, too. */
    if (!isdigit((unsigned char)text[0]) || *end || errno || number < min || number > max)
        return loader_fail(-EINVAL, "--%s %s: it takes a number, %u to %u", option, text, min, max);
    *number_p = (uint32_t)number;
    return 0;
}

static int parse_checksum(const char *text, uint64_t *checksum_p)
{
    if (strlen(text) != 16 || strspn(text, "0123456789abcdefABCDEF") != 16)
        return loader_fail(-EINVAL,
                           "--checksum %s: it takes 16 hexadecimal digits, as loader "
                           "explode prints them",
                           text);
    *checksum_p = strtoull(text, NULL, 16);
    return 0;
}

static int set_option(struct loader_options *o, int option, const char *name)
{
    switch (option) {
    case 'f':
        o->from = optarg;
        return 0;
    case 'p':
        o->path = optarg;
        return 0;
    case 'r':
        o->refresh = true;
        return 0;
    case 'w':
        return parse_number(name, optarg, 0, LOADER_WORKERS_MAX, &o->workers);
    case 'e':
        return parse_number(name, optarg, 1, 1000000, &o->epochs);
    case 'b':
        return parse_number(name, optarg, 1, ROS2_BATCH_MAX, &o->batch);
    case 's':
        return parse_number(name, optarg, 0, UINT32_MAX, &o->seed);
    case 'c':
        o->check = true;
        return parse_checksum(optarg, &o->checksum);
    default: /* getopt_long() has said what is wrong */
        return -EINVAL;
    }
}

static const struct option explode_options[] = {
    {"from", required_argument, NULL, 'f'},
    {0},
};
static const struct option run_options[] = {
    {"path", required_argument, NULL, 'p'},   {"workers", required_argument, NULL, 'w'},
    {"epochs", required_argument, NULL, 'e'}, {"batch", required_argument, NULL, 'b'},
    {"seed", required_argument, NULL, 's'},   {"checksum", required_argument, NULL, 'c'},
    {"refresh", no_argument, NULL, 'r'},      {0},
};

/* argv[0] is the verb. */
static int parse(struct loader_options *o, int argc, char **argv, bool explode)
{
    const struct option *options = explode ? explode_options : run_options;
    int option, at = 0;

    argv[0] = speaker; /* what getopt_long() begins its lines with */
    while ((option = getopt_long(argc, argv, "", options, &at)) != -1) {
        int rc = set_option(o, option, options[at].name);
        if (rc < 0)
            return rc;
    }
    if (argc - optind != (explode ? 1 : 0))
        return loader_fail(-EINVAL,
                           explode ? "explode takes one directory" : "run takes options only");
    o->dir = argv[optind];
    return 0;
}

static int usage(void)
{
    fputs("usage: loader explode DIR [--from FOLDER]\n"
          "       loader run [--path PATH] [--workers N] [--epochs N] [--batch N] [--seed N]\n"
          "                  [--checksum HEX] [--refresh]\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct loader_options options = {
        .from = "/usr/share/datasets/fashion-mnist",
        .path = "/fashion",
        .workers = 2,
        .epochs = 3,
        .batch = 256,
        .seed = 1,
    };
    bool explode = argc > 1 && strcmp(argv[1], "explode") == 0;

    if (!explode && (argc < 2 || strcmp(argv[1], "run") != 0))
        return usage();
    if (parse(&options, argc - 1, argv + 1, explode) < 0)
        return usage();
    int rc = explode ? loader_explode(&options) : loader_run(&options);
    return rc < 0 ? 1 : 0;
}
