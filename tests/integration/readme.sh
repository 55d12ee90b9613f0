#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The README's C example compiles against this build and prints the file that it reads from a real ros2d.
set -u
echo 1..2
top=$abs_top_srcdir build=$abs_top_builddir
dir=$(mktemp -d) || exit 99
daemon=
trap '[ -n "$daemon" ] && kill "$daemon" 2>/dev/null && wait "$daemon" 2>/dev/null; rm -rf "$dir"' EXIT

awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' "$top/README.md" >"$dir/reader.c"
# shellcheck disable=SC2086
if "$build/libtool" --silent --tag=CC --mode=link ${CC:-cc} ${SANITIZER_FLAGS-} -std=gnu11 -Wall -Werror -I"$top/include" \
    -I"$build/include" "$dir/reader.c" "$build/libros2.la" -o "$dir/reader" 2>"$dir/cc.log"; then
    echo "ok 1 - the example compiles without warnings"
else
    sed 's/^/# /' "$dir/cc.log"
    echo "not ok 1 - the example compiles without warnings"
fi

mkdir -p "$dir/store/dataset"
echo "read through libros2" >"$dir/store/dataset/hello.txt"
mkfifo "$dir/out"
"$ROS2D" --ephemeral "$dir/store" >"$dir/out" 2>"$dir/log" &
daemon=$!
while read -r line <&3; do
    [ "$line" = ready ] && break
    eval "$line"
done 3<"$dir/out"
got=$("$dir/reader" 2>&1)
if [ "$got" = "read through libros2" ]; then
    echo "ok 2 - it prints the file's bytes"
else
    echo "# got: $got"
    sed 's/^/# /' "$dir/log"
    echo "not ok 2 - it prints the file's bytes"
fi
