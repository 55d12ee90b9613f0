/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and keys in PEM, looked at before a TLS library gets them: its own errors name no file. */
#ifndef ROS2I_PEM_H
#define ROS2I_PEM_H

/* 0 or -EINVAL with a text that names path. what: "CA", "client certificate". Threads: any. */
int ros2i_pem_check_certificate(const char *pem, const char *what, const char *path);
/* The certificate, the key (without a passphrase), and that they belong together. what: "client". */
int ros2i_pem_check_pair(const char *cert_pem, const char *key_pem, const char *what,
                         const char *cert_path, const char *key_path);

#endif
