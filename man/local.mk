# SPDX-License-Identifier: Apache-2.0
# Manual pages; a new one is a line here.

dist_man_MANS =
