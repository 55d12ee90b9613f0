#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the built libraries export: libros2.so its API only, a plugin its one entry. Part of make check.
libs=$abs_top_builddir/.libs
count=0 status=0

# exports NAME FILE PATTERN: all of FILE's exported symbols match PATTERN, and there is one at least.
exports() {
    count=$((count + 1))
    symbols=$(nm -D --defined-only "$2" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }')
    strange=$(grep -Ev "$3" <<<"$symbols")
    if [ -n "$symbols" ] && [ -z "$strange" ]; then
        echo "ok $count - $1"
    else
        echo "not ok $count - $1"
        sed 's/^/# /' <<<"${strange:-no exported symbol}"
        status=1
    fi
}

plugins=$(cd "$libs" && ls ros2_*.so)
echo "1..$((1 + $(wc -w <<<"$plugins")))"
exports 'libros2.so exports its API only' "$libs/libros2.so" '^ros2_[a-z]'
for plugin in $plugins; do
    case $plugin in
    ros2_transport_*) exports "$plugin exports its entry only" "$libs/$plugin" '^ros2_transport_plugin$' ;;
    ros2_ucx.so) exports "$plugin exports its entry only" "$libs/$plugin" '^ros2_ucx_variant$' ;;
    ros2_engine_*) exports "$plugin exports its entry only" "$libs/$plugin" '^ros2_engine_plugin$' ;;
    esac
done
exit $status
