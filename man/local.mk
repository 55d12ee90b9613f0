# SPDX-License-Identifier: Apache-2.0
# Manual pages; a new one is a line here. Calls share a page by group; their other names are one-line pages.

dist_man_MANS = \
	man/ros2ctl.1 \
	man/ros2d.8 \
	man/ros2d.yaml.5 \
	man/libros2.3 \
	man/ros2_buf_addr.3 \
	man/ros2_buf_alloc.3 \
	man/ros2_buf_free.3 \
	man/ros2_buf_len.3 \
	man/ros2_buf_register.3 \
	man/ros2_buf_unregister.3 \
	man/ros2_close.3 \
	man/ros2_closedir.3 \
	man/ros2_connect.3 \
	man/ros2_disconnect.3 \
	man/ros2_error.3 \
	man/ros2_fstat.3 \
	man/ros2_fsync.3 \
	man/ros2_index_close.3 \
	man/ros2_index_count.3 \
	man/ros2_index_find.3 \
	man/ros2_index_get.3 \
	man/ros2_index_open.3 \
	man/ros2_list_with_attributes.3 \
	man/ros2_log_callback.3 \
	man/ros2_lseek.3 \
	man/ros2_mkdir.3 \
	man/ros2_open.3 \
	man/ros2_opendir.3 \
	man/ros2_ping.3 \
	man/ros2_pread.3 \
	man/ros2_publish.3 \
	man/ros2_pwrite.3 \
	man/ros2_read.3 \
	man/ros2_readdir.3 \
	man/ros2_rename.3 \
	man/ros2_rmdir.3 \
	man/ros2_stat.3 \
	man/ros2_transport.3 \
	man/ros2_unlink.3 \
	man/ros2_write.3
