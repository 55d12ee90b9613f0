/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate authority of one's own: what ros2d --ephemeral and ros2ctl tls init make. EC P-256, X.509 v3, PEM. */
#ifndef ROS2I_ISSUE_H
#define ROS2I_ISSUE_H

#include <stddef.h>

enum ros2i_leaf_kind { ROS2I_LEAF_SERVER, ROS2I_LEAF_CLIENT };

/* All: threads any; block on the disk; nothing is overwritten (-EEXIST), and a failure leaves no file behind that the call
 * has made. Keys get mode 0600, certificates 0644. days: 1..36500 from now (five minutes are added before, for clocks
 * that differ). 0 or -errno with an error text that names the file: -ENOENT, -EACCES, -EEXIST, -EINVAL, -EIO. */

/* Writes DIR/ca.pem and DIR/ca.key. DIR is made (mode 0700) when it is not there; its parent must be. */
int ros2i_issue_ca(const char *dir, const char *common_name, int days);
/* Writes DIR/NAME.pem and DIR/NAME.key, signed by DIR/ca.key; never valid longer than the CA. NAME is the common name and
 * a plain file name. hosts: names and numeric addresses for subjectAltName; a server needs one at least. */
int ros2i_issue_leaf(const char *dir, const char *name, enum ros2i_leaf_kind kind,
                     const char *const *hosts, size_t host_count, int days);

#endif
