#!/usr/bin/env bash
# Shows by the kernel's own trace what happens between a peer's send and our event: the peer's
# `write` wakes the loop itself, and no third thread runs. Explained in docs/wakeup-trace.md.
#
#   bash benches/wakeup_trace.sh        as root, with two CPUs and tracefs
set -euo pipefail
cd "$(dirname "$0")/.."

addr=${ADDR:-127.0.0.1} port=${PORT:-7700}
tracing=/sys/kernel/tracing
mountpoint -q "$tracing" || mount -t tracefs nodev "$tracing"

cargo build -q --release --package aio-runtime-examples --bin echo_server
taskset -c 0 "${CARGO_TARGET_DIR:-target}/release/echo_server" "$addr:$port" &
server=$!
was_on=$(cat "$tracing/tracing_on")
stop() {
    echo >"$tracing/set_event"
    echo "$was_on" >"$tracing/tracing_on"
    kill "$server" 2>/dev/null || true
}
trap stop EXIT
sleep 0.3

echo 0 >"$tracing/tracing_on"
echo nop >"$tracing/current_tracer"
echo >"$tracing/trace"
{
    echo sched:sched_switch
    echo sched:sched_waking
    for call in write sendto recvfrom io_submit io_getevents io_pgetevents; do
        echo "syscalls:sys_enter_$call"
        echo "syscalls:sys_exit_$call"
    done
} >"$tracing/set_event"

# The peer, on the other CPU. Its first messages warm up; the last one is shown.
taskset -c 1 bash -c "
    exec 3<>/dev/tcp/$addr/$port
    for round in 1 2 3 4 5 6; do
        [ \$round = 6 ] && echo 1 >$tracing/tracing_on
        printf ping >&3
        head -c 4 <&3 >/dev/null
    done
    echo 0 >$tracing/tracing_on"

# From the peer's send to the server's next sleep.
sed -n '/sys_write(.*count: 4)/,$ { p; /sys_io_p\?getevents(/q }' "$tracing/trace"
