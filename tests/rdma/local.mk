# SPDX-License-Identifier: Apache-2.0
# Tests on real verbs, in virtual machines with soft-RoCE: minutes, and packages that nothing else needs (./install-deps
# rdma), so they are no part of make check.

EXTRA_DIST += \
	tests/rdma/boot-guest \
	tests/rdma/evidence \
	tests/rdma/guest-init \
	tests/rdma/choices \
	tests/rdma/make-guest \
	tests/rdma/one-machine \
	tests/rdma/run \
	tests/rdma/serve \
	tests/rdma/transfer

.PHONY: check-rdma
check-rdma: all
	$(MAKE) $(AM_MAKEFLAGS) check TESTS=
	$(top_srcdir)/tests/rdma/run $(abs_top_builddir)

clean-local:
	rm -rf rdma
