#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A read allocates nothing and takes no lock, in the client and in ros2d. Over shm, while both ends poll, no read makes a system
# call but that by which ros2d reads the file; over tcp each makes those of its socket.
#
# A poller that a busy machine keeps from its CPU makes the other end fall asleep. Going to sleep and waking up cost calls, which
# are no read's: they are told apart by their number, and how often it happens is judged only where the CPUs were free.
dir=$(mktemp -d) || exit 99
status=0 daemon=
trap 'end_daemon; rm -rf "$dir"' EXIT
mkdir "$dir/store"
head -c 1048576 /dev/urandom >"$dir/store/file"
program=$abs_top_builddir/tests/integration/hot_path
[ ! -x "$abs_top_builddir/tests/integration/.libs/hot_path" ] || program=$abs_top_builddir/tests/integration/.libs/hot_path
counted=("LD_PRELOAD=$abs_top_builddir/tests/integration/.libs/call_count.so")
export LD_LIBRARY_PATH=$abs_top_builddir/.libs CALL_COUNT_PEER=$dir/counts

no_count='' no_trace=''
if ldd "$abs_top_builddir/.libs/libros2.so" | grep -q 'lib[at]san'; then
    no_count='sanitizers have their own malloc' counted=()
fi
if ! command -v strace >/dev/null; then
    no_trace='strace is not installed'
elif ! strace -f --seccomp-bpf -e trace=close -o "$dir/trace" true 2>/dev/null; then
    no_trace='ptrace is refused here'
fi

echo 1..14
n=0
result() { # result GOOD NAME
    n=$((n + 1))
    if [ "$1" = yes ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; status=1; fi
}
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }

# It polls for long before it sleeps: a call takes so much time under strace that the other end, which polls for 20 us, would
# fall asleep, be woken by a call, and so on.
write_config() {
    echo 'read-only-0123456789abcdef' >"$dir/token"
    chmod 600 "$dir/token"
    cat >"$dir/ros2d.yaml" <<END
control: {listen: "127.0.0.1:0", plaintext: true}
data: {listen: "127.0.0.1:0", transport: "shm,tcp", shm_dir: $dir, spin_us: 10000}
engine: {name: posix, root: $dir/store}
tokens: [{name: reader, file: $dir/token, rights: ro}]
END
}

start_daemon() { # start_daemon COMMAND...: that runs what follows it, under the same process id
    rm -f "$dir/counts"
    "$@" env "${counted[@]}" CALL_COUNT_FILE="$dir/counts" "$ROS2D" --config "$dir/ros2d.yaml" >"$dir/out" 2>"$dir/log" &
    daemon=$!
    for _ in $(seq 300); do
        grep -q '^ready ' "$dir/out" && break
        kill -0 "$daemon" 2>/dev/null || break
        sleep 0.1
    done
    grep -q '^ready ' "$dir/out" || { sed 's/^/# ros2d: /' "$dir/log"; echo "Bail out! ros2d did not start"; exit 1; }
    export ROS2_URL ROS2_TOKEN_FILE=$dir/token
    ROS2_URL=ros2://$(sed -n 's/^ready //p' "$dir/out")
}

end_daemon() {
    [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null
    daemon=
}

# Where the machine is busy it is as many reads as there are after 8 s.
reads() { # reads COUNT LEN DEPTH SLICE COMMAND...: into $dir/read
    local arguments=(/file "$1" "$2" "$3" "$4" 8)
    shift 4
    "$@" env "${counted[@]}" "$program" "${arguments[@]}" >"$dir/read" 2>"$dir/err"
}

figure() { sed -n "s/^$1 \([0-9]*\).*/\1/p" "$dir/read"; } # figure NAME: what the program printed behind it

check_counts() { # check_counts NAME: of both ends
    local name="$1 allocate nothing and take no lock" made good=no
    if [ -n "$no_count" ]; then
        skip "$name" "$no_count"
        return
    fi
    made=$(figure reads)
    # ros2d has other threads, for timers and calls; what a read did would be there for each of them.
    grep -qx 'client allocations 0 locks 0' "$dir/read" && [ "${made:-0}" -gt 0 ] &&
        [ $(($(figure 'ros2d allocations') + $(figure 'ros2d allocations [0-9]* locks'))) -lt $((made / 100 + 500)) ] && good=yes
    result $good "$name"
    sed 's/^/# /' "$dir/read" "$dir/err"
}

# Of the thread that reads, between the marks, one line: BEGIN END SLICES QUIET CALLS SLEEPS FOREIGN... A slice, of a thousand
# reads, is quiet with at most 100 calls: far less than if each read, or each queue of them, slept.
client_calls() {
    awk 'function slice_over() { slices++; quiet += n <= 100; n = 0 }
        / <\.\.\. / { next }
        /close\(-77[ )]/ { if (on) slice_over(); else begin = $2; on = 1; pid = $1; next }
        /close\(-78[ )]/ { slice_over(); end = $2; on = 0 }
        on && $1 == pid {
            n++; calls++
            sub(/\(.*/, "", $3)
            if ($3 == "ppoll") sleeps++
            else if ($3 !~ /^(sendto|sendmsg|recvfrom|recvmsg|readv|writev|read|write|poll|epoll_p?wait2?)$/) foreign[$3]
        }
        END { printf "%s %s %d %d %d %d", begin, end, slices, quiet, calls, sleeps; for (name in foreign) printf " %s", name }
    ' "$dir/trace"
}

# ros2d_calls BEGIN END: of all its threads in that time, CALLS SLEEPS; but for those that read the file, which are not traced.
ros2d_calls() {
    awk -v begin="$1" -v end="$2" '$2 >= begin && $2 <= end && !/ <\.\.\. / { calls++; sleeps += $3 ~ /^ppoll\(/ }
        END { print calls + 0, sleeps + 0 }' "$dir/ros2d-trace"
}

# How long ros2d's threads were ready to run and did not, in ms.
ros2d_waited() { awk '{ waited += $2 } END { printf "%d", waited / 1e6 }' /proc/"$daemon"/task/*/schedstat; }

check_socket_calls() { # check_socket_calls NAME LEAST
    local name="$1 make only the system calls of their socket" good=no begin end slices quiet calls sleeps foreign
    read -r begin end slices quiet calls sleeps foreign <<<"$(client_calls)"
    [ -z "$foreign" ] && [ "$calls" -ge "$2" ] && good=yes
    result $good "$name"
    echo "# $calls system calls${foreign:+, foreign: $foreign}"
}

check_no_calls() { # check_no_calls NAME WAITED
    local name="$1 make no system calls of their own" good=no begin end slices quiet calls sleeps foreign ros2d_calls ros2d_sleeps most busy
    read -r begin end slices quiet calls sleeps foreign <<<"$(client_calls)"
    read -r ros2d_calls ros2d_sleeps <<<"$(ros2d_calls "$begin" "$end")"
    # To fall asleep and to be woken takes two to four at either end; and each millisecond both look at what only the kernel knows.
    most=$((10 * (sleeps + ros2d_sleeps) + 1000 + 8 * $(awk -v begin="$begin" -v end="$end" 'BEGIN { printf "%d", (end - begin) * 1000 }')))
    # Free: neither end waited for a CPU for a hundredth of the time. With sanitizers an answer takes longer than a client polls.
    busy=$(awk -v begin="$begin" -v end="$end" -v waited="$(($2 + $(figure waited_ms)))" \
        'BEGIN { print (waited > (end - begin) * 10 ? "busy" : "") }')
    [ -z "$foreign" ] && [ "$slices" -gt 0 ] && [ $((calls + ros2d_calls)) -le "$most" ] &&
        { [ -n "$busy$no_count" ] || [ "$quiet" -ge $((slices / 10)) ]; } && good=yes
    result $good "$name"
    echo "# $(figure reads) reads in $slices slices, $quiet of them quiet${busy:+; the CPUs were busy};" \
        "calls $calls, of which $sleeps to sleep; of ros2d $ros2d_calls and $ros2d_sleeps${foreign:+; foreign: $foreign}"
}

variants=('4096 0' '16384 0' '4096 32' '16384 32') # reads of one block inline, and of one by put; one by one, and over a queue
title() { # title LEN DEPTH
    local flight=", $2 in flight,"
    [ "$2" != 0 ] || flight=
    echo "reads over $ROS2_TRANSPORT of $1 bytes$flight"
}

write_config
export ROS2_TRANSPORT=tcp
start_daemon env
for variant in "${variants[@]}"; do
    read -r len depth <<<"$variant"
    name="100000 $(title "$len" "$depth")"
    [ -n "$no_count" ] || reads 100000 "$len" "$depth" 1000 env
    check_counts "$name"
done
for depth in 0 32; do
    name="2000 $(title 4096 $depth)"
    if [ -n "$no_trace" ]; then
        skip "$name make only the system calls of their socket" "$no_trace"
        continue
    fi
    reads 2000 4096 $depth 2000 strace -f -ttt -o "$dir/trace"
    # One by one each takes a send and a receive; together they share them.
    check_socket_calls "$name" $((depth ? 100 : 4000))
done
end_daemon

# Both ends under strace, which costs nothing where there is nothing to trace: hence the reads of the file are not.
ROS2_TRANSPORT=shm count=1000000
[ -z "$no_count" ] || count=2000
trace=(env) trace_ros2d=(env)
if [ -z "$no_trace" ]; then
    trace=(strace -f -ttt -o "$dir/trace")
    : >"$dir/ros2d-trace"
    # Not with sanitizers: the leak checker would wait at the end to trace what is traced already.
    [ -n "$no_count" ] ||
        trace_ros2d=(strace -D -f --seccomp-bpf -ttt -e 'trace=!preadv2,pread64,io_uring_enter' -o "$dir/ros2d-trace")
fi
start_daemon "${trace_ros2d[@]}"
for variant in "${variants[@]}"; do
    read -r len depth <<<"$variant"
    name="$count $(title "$len" "$depth")"
    waited=$(ros2d_waited)
    reads $count "$len" "$depth" 1000 "${trace[@]}"
    waited=$(($(ros2d_waited) - waited))
    check_counts "$name"
    if [ -z "$no_trace" ]; then
        check_no_calls "$name" $waited
    else
        skip "$name make no system calls of their own" "$no_trace"
    fi
done
exit $status
