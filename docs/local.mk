# SPDX-License-Identifier: Apache-2.0
# What a release tarball carries besides code.

EXTRA_DIST += \
	CHANGELOG.md \
	CONTRIBUTING.md \
	README.md \
	docs/ARCHITECTURE.md \
	docs/PERFORMANCE.md \
	docs/PROTOCOL.md \
	docs/PROTOCOL-shm.md \
	docs/PROTOCOL-ofi.md \
	docs/PROTOCOL-ucx.md \
	docs/PROTOCOL-tcp.md \
	docs/SECURITY.md \
	docs/TRANSPORTS.md \
	docs/reads.svg \
	docs/ros2d.yaml
