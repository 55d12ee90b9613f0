/* SPDX-License-Identifier: Apache-2.0 */
/* ros2ctl transports: what the daemon offers, what this machine can use, and what was chosen. */
#include "config.h"

#include <stdio.h>

#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/verbs.h"

#define MOST 36 /* ros2_transports() has no more */

static error_t parse(int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = state->input;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s': transports takes no argument; --url names the daemon", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char *yes_no(int yes)
{
    return yes ? "yes" : "no";
}

/* Why it is the one, or not. */
static const char *reason(const struct ros2_transport_state *state)
{
    if (state->chosen)
        return "chosen";
    if (!state->usable)
        return state->why;
    return state->offered ? "another is preferred, by ros2d's data.transport or setting transport"
                          : "ros2d does not offer it; list it in its data.transport";
}

static void print_row(const struct ros2_transport_state *state)
{
    printf("%c %-12s %-7s %-6s  %s\n", state->chosen ? '*' : ' ', state->name,
           yes_no(state->offered), yes_no(state->usable), reason(state));
}

static int print_json(struct ctl *ctl, const struct ros2_transport_state *list, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(array,
                              json_pack("{s:s, s:b, s:b, s:b, s:s}", "name", list[i].name,
                                        "offered", list[i].offered, "usable", list[i].usable,
                                        "chosen", list[i].chosen, "reason", reason(&list[i])));
    return ctl_json_print(ctl, array);
}

int ctl_transports(struct ctl *ctl, int argc, char **argv)
{
    const struct argp argp = {
        0,
        parse,
        "",
        "Shows the ways that file data can take, and the one that was chosen.",
        CTL_GLOBAL_CHILDREN,
        0,
        0};
    struct ros2_transport_state list[MOST];

    argp_parse(&argp, argc, argv, 0, NULL, ctl);
    int code = ctl_connect(ctl);
    if (code != CTL_OK)
        return code;
    size_t count = ros2_transports(ctl->client, list, MOST);
    if (ctl->json)
        return print_json(ctl, list, count);
    printf("  %-12s %-7s %-6s\n", "transport", "offered", "usable");
    for (size_t i = 0; i < count; i++)
        print_row(&list[i]);
    return CTL_OK;
}
