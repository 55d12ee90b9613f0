#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The control plane through a client that is not ours: Python's gRPC, with stubs made from proto/ by protoc."""
import glob
import os
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
import traceback

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# Old stubs and a newer protobuf runtime get along only this way.
os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python")
try:
    import grpc
    import grpc_tools  # noqa: F401
except ImportError as error:
    print(f"1..0 # SKIP Debian packages python3-grpcio and python3-grpc-tools: {error}")
    sys.exit(0)

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from ctl_harness import DEADLINE_S, Daemon  # noqa: E402

CASES = []
READ, WRITE, CREATE, EXCLUSIVE = 1, 2, 4, 8
SESSION_KEY = "ros2-session-bin"


def case(fn):
    CASES.append(fn)
    return fn


def make_stubs(folder):
    """protoc, as anybody would run it, over the files that libros2 publishes."""
    proto = os.path.join(os.environ["abs_top_srcdir"], "proto")
    files = sorted(os.path.relpath(p, proto) for p in glob.glob(os.path.join(proto, "**", "*.proto"), recursive=True))
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={proto}", f"--python_out={folder}",
                    f"--grpc_python_out={folder}"] + files, check=True)
    # proto/grpc/ must not hide the package grpc: its stubs move to where they can be told apart.
    health = os.path.join(folder, "grpc", "health", "v1")
    for name in ("health_pb2.py", "health_pb2_grpc.py"):
        with open(os.path.join(health, name), encoding="utf-8") as f:
            text = f.read().replace("from grpc.health.v1 import health_pb2", "import health_pb2")
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(text)
    shutil.rmtree(os.path.join(folder, "grpc"))
    sys.path.insert(0, folder)


class World:
    """A ros2d, a channel to it, and a session."""

    def __init__(self):
        self.daemon = Daemon()
        with open(self.daemon.env["ROS2_CA_FILE"], "rb") as f:
            self.ca = f.read()
        with open(self.daemon.env["ROS2_TOKEN_FILE"], encoding="ascii") as f:
            self.token = f.readline().strip()
        self.address = self.daemon.env["ROS2_URL"].split("//")[1]
        self.channel = grpc.secure_channel(self.address, grpc.ssl_channel_credentials(self.ca))
        self.session = Sessions(self.channel)
        self.names = Namespace(self.channel)
        self.metadata = [("authorization", "Bearer " + self.token)]
        self.opened = self.session.Open(open_request(), metadata=self.metadata, timeout=DEADLINE_S)
        self.metadata.append((SESSION_KEY, self.opened.session_id))

    def call(self, method, request):
        return method(request, metadata=self.metadata, timeout=DEADLINE_S)

    def close(self):
        self.channel.close()
        self.daemon.close()


def open_request():
    return session_pb2.OpenSessionRequest(version_min=1, version_max=1, client_name="python",
                                          process_nonce=secrets.token_bytes(16))


def request_id(sequence, nonce=secrets.token_bytes(16)):
    return common_pb2.RequestId(process_nonce=nonce, sequence=sequence)


def failure(method, *arguments, **keywords):
    """The gRPC status of a call that fails, and the Error in its trailing metadata (None: without one)."""
    try:
        reply = method(*arguments, **keywords)
        list(reply) if hasattr(reply, "__next__") else None
    except grpc.RpcError as error:
        for key, value in error.trailing_metadata() or ():
            if key == "ros2-error-bin":
                return error.code(), common_pb2.Error.FromString(value)
        return error.code(), None
    raise AssertionError("the call did not fail")


@case
def session_open_returns_id_secret_and_endpoints(w):
    assert len(w.opened.session_id) == 16 and len(w.opened.secret) == 32
    assert [endpoint.transport for endpoint in w.opened.endpoints] == ["shm", "tcp"]
    assert w.opened.version == 1 and w.opened.credits > 0 and w.opened.lifetime_ms > 0


@case
def attach_and_renew_answer(w):
    assert w.call(w.session.Attach, session_pb2.AttachRequest(process_nonce=secrets.token_bytes(16))).lifetime_ms
    assert w.call(w.session.Renew, session_pb2.RenewRequest()).lifetime_ms


@case
def open_many_creates_and_stat_sees_it(w):
    items = [namespace_pb2.OpenItem(path=b"/new", flags=READ | WRITE | CREATE, mode=0o640),
             namespace_pb2.OpenItem(path=b"/absent", flags=READ)]
    reply = w.call(w.names.OpenMany, namespace_pb2.OpenManyRequest(items=items, request_id=request_id(1)))
    assert len(reply.results) == 2
    good, bad = reply.results
    assert not good.HasField("error") and good.rights == 3 and stat.S_ISREG(good.attributes.mode)
    assert bad.error.err == 2 and "absent" in bad.error.message
    by_path = w.call(w.names.Stat, namespace_pb2.StatRequest(path=b"/new")).attributes
    by_handle = w.call(w.names.Stat, namespace_pb2.StatRequest(handle=good.handle)).attributes
    assert by_path == by_handle and by_path.ino == good.attributes.ino
    closed = w.call(w.names.CloseMany, namespace_pb2.CloseManyRequest(handles=[good.handle, good.handle]))
    assert list(closed.errnos) == [0, 9]


@case
def mkdir_rename_unlink_change_the_store(w):
    store = w.daemon.store
    w.call(w.names.Mkdir, namespace_pb2.MkdirRequest(path=b"/d", mode=0o755, request_id=request_id(2)))
    assert os.path.isdir(os.path.join(store, "d"))
    w.call(w.names.Mkdir, namespace_pb2.MkdirRequest(path=b"/d", mode=0o755, request_id=request_id(2)))
    code, error = failure(w.call, w.names.Mkdir, namespace_pb2.MkdirRequest(path=b"/d", mode=0o755))
    assert code == grpc.StatusCode.ALREADY_EXISTS and error.err == 17
    w.call(w.names.Rename, namespace_pb2.RenameRequest(**{"from": b"/d", "to": b"/e"}))
    assert os.path.isdir(os.path.join(store, "e")) and not os.path.exists(os.path.join(store, "d"))
    w.call(w.names.Unlink, namespace_pb2.UnlinkRequest(path=b"/e", directory=True))
    assert not os.path.exists(os.path.join(store, "e"))


@case
def list_streams_names_that_are_no_utf8(w):
    folder = os.path.join(w.daemon.store, "l")
    os.mkdir(folder)
    names = {b"n%d" % i for i in range(1000)} | {b"\xff\xfe", "\u00e4".encode()}
    for name in names:
        open(os.path.join(os.fsencode(folder), name), "wb").close()
    pages = list(w.names.List(namespace_pb2.ListRequest(path=b"/l", with_attributes=True), metadata=w.metadata,
                              timeout=DEADLINE_S))
    entries = [entry for page in pages for entry in page.entries]
    assert len(pages) > 1 and len(entries) == len(names) and {entry.name for entry in entries} == names
    assert all(stat.S_ISREG(entry.attributes.mode) for entry in entries)
    rest = w.names.List(namespace_pb2.ListRequest(path=b"/l", cookie=entries[499].cookie), metadata=w.metadata,
                        timeout=DEADLINE_S)
    assert [entry.name for page in rest for entry in page.entries] == [entry.name for entry in entries[500:]]


@case
def a_stream_that_is_left_alone_harms_nobody(w):
    for _ in range(20):
        stream = w.names.List(namespace_pb2.ListRequest(path=b"/l"), metadata=w.metadata, timeout=DEADLINE_S)
        next(stream)
        stream.cancel()
    assert w.call(w.names.Stat, namespace_pb2.StatRequest(path=b"/")).attributes.ino


@case
def paths_are_checked(w):
    for path in (b"", b"relative", b"/a/../b", b"/.", b"/a\0b", b"/" + b"x" * 5000, b"/" + b"y" * 256):
        code, error = failure(w.call, w.names.Stat, namespace_pb2.StatRequest(path=path))
        assert code == grpc.StatusCode.INVALID_ARGUMENT and error.err in (22, 36) and error.message, path
    code, _ = failure(w.call, w.names.Stat, namespace_pb2.StatRequest())
    assert code == grpc.StatusCode.INVALID_ARGUMENT


@case
def requests_out_of_bounds_are_refused(w):
    items = [namespace_pb2.OpenItem(path=b"/x", flags=READ)] * 4097
    code, error = failure(w.call, w.names.OpenMany, namespace_pb2.OpenManyRequest(items=items))
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "4096" in error.message
    # Two bytes on the wire an item: many times more in memory.
    bomb = namespace_pb2.OpenManyRequest(items=[namespace_pb2.OpenItem()] * 1500000)
    code, error = failure(w.call, w.names.OpenMany, bomb)
    assert code == grpc.StatusCode.INVALID_ARGUMENT and error.err == 22
    code, _ = failure(w.call, w.names.Stat, namespace_pb2.StatRequest(path=b"/" + b"z" * (5 << 20)))
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    bad = common_pb2.RequestId(process_nonce=b"short", sequence=1)
    code, _ = failure(w.call, w.names.Mkdir, namespace_pb2.MkdirRequest(path=b"/m", mode=0o755, request_id=bad))
    assert code == grpc.StatusCode.INVALID_ARGUMENT


@case
def bytes_that_are_no_message_are_refused(w):
    raw = w.channel.unary_unary("/ros2.v1.Namespace/Stat", request_serializer=bytes, response_deserializer=bytes)
    code, error = failure(raw, b"\xff\xff\xff\xff", metadata=w.metadata, timeout=DEADLINE_S)
    assert code == grpc.StatusCode.INVALID_ARGUMENT and error.err == 22


@case
def a_bad_token_is_refused(w):
    request = open_request()
    for metadata in ([("authorization", "Bearer " + w.token + "x")], [("authorization", w.token)],
                     [("authorization", "Basic " + w.token)], [], [("authorization", "Bearer ")],
                     [("authorization", "Bearer " + w.token)] * 2):
        code, error = failure(w.session.Open, request, metadata=metadata, timeout=DEADLINE_S)
        assert code == grpc.StatusCode.UNAUTHENTICATED and error.err == 13 and w.token not in error.message
    code, _ = failure(w.names.Stat, namespace_pb2.StatRequest(path=b"/"), metadata=[(SESSION_KEY, w.opened.session_id)],
                      timeout=DEADLINE_S)
    assert code == grpc.StatusCode.UNAUTHENTICATED


@case
def a_session_is_needed(w):
    token = [("authorization", "Bearer " + w.token)]
    stat_root = namespace_pb2.StatRequest(path=b"/")
    for extra, err in (([], 22), ([(SESSION_KEY, b"short")], 22), ([(SESSION_KEY, bytes(16))], 126)):
        code, error = failure(w.names.Stat, stat_root, metadata=token + extra, timeout=DEADLINE_S)
        assert error.err == err, (code, error)


@case
def unknown_methods_are_unimplemented(w):
    for path in ("/ros2.v1.Namespace/Nope", "/other.Service/Call", "/x"):
        raw = w.channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)
        code, _ = failure(raw, b"", metadata=w.metadata, timeout=DEADLINE_S)
        assert code == grpc.StatusCode.UNIMPLEMENTED, path


@case
def health_needs_no_token(w):
    health = health_pb2_grpc.HealthStub(w.channel)
    for service in ("", "ros2.v1.Namespace"):
        reply = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=DEADLINE_S)
        assert reply.status == health_pb2.HealthCheckResponse.SERVING
    code, _ = failure(health.Check, health_pb2.HealthCheckRequest(service="other"), timeout=DEADLINE_S)
    assert code == grpc.StatusCode.NOT_FOUND
    for _ in range(3):
        watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=DEADLINE_S)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()


@case
def a_watch_sees_the_end(w):
    """The last case: it ends ros2d."""
    health = health_pb2_grpc.HealthStub(w.channel)
    watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=DEADLINE_S)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    status = w.daemon.stop()
    assert status == 0, status
    assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING


def main():
    global common_pb2, namespace_pb2, session_pb2, health_pb2, health_pb2_grpc, Namespace, Sessions
    folder = tempfile.mkdtemp(prefix="ros2-stubs-")
    try:
        make_stubs(folder)
        from ros2.v1 import common_pb2, namespace_pb2, namespace_pb2_grpc, session_pb2, session_pb2_grpc
        import health_pb2
        import health_pb2_grpc
        Namespace, Sessions = namespace_pb2_grpc.NamespaceStub, session_pb2_grpc.SessionStub
        world = World()
        failed = 0
        print(f"1..{len(CASES)}", flush=True)
        for number, fn in enumerate(CASES, 1):
            try:
                fn(world)
                print(f"ok {number} - {fn.__name__}", flush=True)
            except Exception:  # noqa: BLE001: a case that fails in any way has failed
                failed += 1
                print(f"not ok {number} - {fn.__name__}", flush=True)
                for line in traceback.format_exc().splitlines():
                    print("#", line)
                world.daemon.print_log()
        world.close()
        return 1 if failed else 0
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
