#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A read allocates nothing, and makes no system call but those of its socket and of the wait for it.
dir=$(mktemp -d) || exit 99
status=0
trap 'kill "$daemon" 2>/dev/null; wait "$daemon" 2>/dev/null; rm -rf "$dir"' EXIT
mkdir "$dir/store"
head -c 1048576 /dev/urandom >"$dir/store/file"
"$ROS2D" --ephemeral "$dir/store" >"$dir/out" 2>"$dir/log" &
daemon=$!
for _ in $(seq 300); do
    grep -q '^ready$' "$dir/out" && break
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.1
done
grep -q '^ready$' "$dir/out" || { sed 's/^/# ros2d: /' "$dir/log"; echo "Bail out! ros2d did not start"; exit 1; }
eval "$(grep '^export ' "$dir/out")"

program=$abs_top_builddir/tests/integration/hot_path
run=("$abs_top_builddir/libtool" --mode=execute "$program")

echo 1..12
n=0
result() { # result GOOD NAME
    n=$((n + 1))
    if [ "$1" = yes ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; status=1; fi
}
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }

for ROS2_TRANSPORT in tcp shm; do
    export ROS2_TRANSPORT
    # Reads of one block inline, and of one by put; one by one, and over a queue.
    for how in '4096' '16384' '4096 32' '16384 32'; do
        read -r len depth <<<"$how"
        name="100000 reads over $ROS2_TRANSPORT of $len bytes${depth:+, $depth in flight,} allocate nothing"
        if ldd "$abs_top_builddir/.libs/libros2.so" | grep -q 'lib[at]san'; then
            skip "$name" "sanitizers have their own malloc"
            continue
        fi
        preload=$abs_top_builddir/tests/integration/.libs/malloc_count.so
        out=$("$abs_top_builddir/libtool" --mode=execute env LD_PRELOAD="$preload" \
            LD_LIBRARY_PATH="$abs_top_builddir/.libs" "${HOT_PATH:-$program}" /file 100000 "$len" $depth 2>"$dir/err")
        good=no
        [ "$out" = 'allocations 0' ] && good=yes
        result $good "$name"
        [ $good = yes ] || { echo "# $out"; sed 's/^/# /' "$dir/err"; }
    done

    for depth in '' 32; do
        name="2000 reads over $ROS2_TRANSPORT${depth:+, $depth in flight,} make only the system calls of their socket"
        if ! command -v strace >/dev/null; then
            skip "$name" 'strace is not installed'
            continue
        elif ! strace -o "$dir/trace" true 2>/dev/null; then
            skip "$name" 'ptrace is refused here'
            continue
        fi
        "${run[@]:0:2}" strace -f -o "$dir/trace" "$program" /file 2000 4096 $depth 2>"$dir/err"
        # Of the thread that reads, between the two marks. Names only.
        between() { awk '/close\(-77[ )]/ { on = 1; pid = $1; next } /close\(-78[ )]/ { on = 0 } on && $1 == pid' "$dir/trace"; }
        foreign=$(between | sed -n 's/^[0-9]* *\([a-z_0-9]*\)(.*/\1/p' | sort | uniq -c |
            grep -Ev ' (sendto|sendmsg|recvfrom|recvmsg|readv|writev|read|write|ppoll|poll|epoll_wait|epoll_pwait|epoll_pwait2)$')
        calls=$(between | wc -l)
        good=no
        # One by one each takes a send and a receive; together they share them. Over shm none is needed while both ends look.
        least=4000
        [ -z "$depth" ] || least=100
        [ "$ROS2_TRANSPORT" = tcp ] || least=0
        [ -z "$foreign" ] && [ "$calls" -ge "$least" ] && good=yes
        result $good "$name"
        echo "# $calls system calls for 2000 reads"
        [ $good = yes ] || { sed 's/^/# foreign: /' <<<"$foreign"; sed 's/^/# /' "$dir/err"; }
    done
done
exit $status
