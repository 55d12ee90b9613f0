# SPDX-License-Identifier: Apache-2.0
# Decoders against hostile bytes.

fuzz_programs =
