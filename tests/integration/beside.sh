#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A program with UCX, libfabric and gRPC of its own reads a file of a real ros2d over transports that use the same libraries.
set -u
transports=(ucx+tcp ofi+tcp tcp)
echo "1..${#transports[@]}"
dir=$(mktemp -d) || exit 99
daemon=
trap '[ -n "$daemon" ] && kill "$daemon" 2>/dev/null && wait "$daemon" 2>/dev/null; rm -rf "$dir"' EXIT

"$ROS2CTL" tls init --dir "$dir/tls" >/dev/null || exit 99
mkdir "$dir/store"
head -c 5000000 /dev/urandom >"$dir/store/file"
(umask 077 && echo 0123456789abcdef0123456789abcdef >"$dir/token")
cat >"$dir/ros2d.yaml" <<END
control: {listen: "127.0.0.1:0", cert_file: $dir/tls/server.pem, key_file: $dir/tls/server.key}
data: {listen: "127.0.0.1:0", transport: "ucx+tcp,ofi+tcp,tcp", trusted_network: true}
engine: {name: posix, root: $dir/store}
tokens: [{name: t, file: $dir/token, rights: ro}]
END
mkfifo "$dir/out"
"$ROS2D" --config "$dir/ros2d.yaml" >"$dir/out" 2>"$dir/log" &
daemon=$!
read -r ready address <"$dir/out"
[ "${ready-}" = ready ] || sed 's/^/# ros2d: /' "$dir/log"
export ROS2_URL=ros2://${address-} ROS2_TOKEN_FILE=$dir/token ROS2_CA_FILE=$dir/tls/ca.pem
# It is the application's choice what UCX may replace, and ThreadSanitizer cannot have any.
export UCX_MEM_EVENTS=n UCX_TLS=tcp,self
n=0 status=0
for transport in "${transports[@]}"; do
    n=$((n + 1))
    if ROS2_TRANSPORT=$transport "$abs_top_builddir/examples/beside" /file >"$dir/got" 2>"$dir/err" &&
        cat "$dir/store/file" "$dir/store/file" | cmp -s - "$dir/got" && grep -q "^over $transport$" "$dir/err"; then
        echo "ok $n - beside its own UCX, libfabric and gRPC a program reads over $transport"
    else
        sed 's/^/# /' "$dir/err" "$dir/log"
        echo "not ok $n - beside its own UCX, libfabric and gRPC a program reads over $transport"
        status=1
    fi
done
exit $status
