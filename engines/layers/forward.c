/* SPDX-License-Identifier: Apache-2.0 */
/* Layer forward: changes nothing. It shows what a layer costs and where one begins. Its config is not read: a
 * stack of layers gets one text for all. */
#include "config.h"

#include "engines/layers/pass.h"

static int engine_open(const struct ros2_engine_options *options, struct ros2_engine **engine_p)
{
    return ros2i_pass_open_named("forward", options, engine_p);
}

static const struct ros2_engine_ops ops = {
    .abi = ROS2_ENGINE_ABI,
    .flags = ROS2I_LAYER_FLAGS,
    .size = sizeof(ops),
    .name = "forward",
    .engine_open = engine_open,
    .engine_close = ros2i_pass_engine_close,
    .root_open = ros2i_pass_root_open,
    .root_close = ros2i_pass_root_close,
    .durability_epoch = ros2i_pass_durability_epoch,
    .open = ros2i_pass_open,
    .close = ros2i_pass_close,
    .getattr = ros2i_pass_getattr,
    .stat = ros2i_pass_stat,
    .readdir = ros2i_pass_readdir,
    .mkdir = ros2i_pass_mkdir,
    .unlink = ros2i_pass_unlink,
    .rmdir = ros2i_pass_rmdir,
    .rename = ros2i_pass_rename,
    .truncate = ros2i_pass_truncate,
    .context_open = ros2i_pass_context_open,
    .context_close = ros2i_pass_context_close,
    .read = ros2i_pass_read,
    .write = ros2i_pass_write,
    .fsync = ros2i_pass_fsync,
    .poll = ros2i_pass_poll,
    .context_fd = ros2i_pass_context_fd,
};

const struct ros2_engine_ops *ros2_engine_plugin(void);

const struct ros2_engine_ops *ros2_engine_plugin(void)
{
    return &ops;
}
