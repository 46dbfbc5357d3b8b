# shellcheck shell=bash
# What the smoke tests share besides the world: counters, traffic and assertions. A test is a file in cases/ that
# runs with the world up, both agents joined and the policy of world.sh in force; it fails by ending with an error.

# shellcheck source=tests/smoke/world.sh
source "$(dirname "${BASH_SOURCE[0]}")/world.sh"

fail() {
    echo "$*"
    exit 1
}

agent_a() { in_ns sg-agent-a "$@"; }
agent_b() { in_ns sg-agent-b "$@"; }
lan() { in_ns sg-lan "$@"; }

# pings NAMESPACE ADDRESS...: each address answers every one of three.
pings() {
    local ns=$1 address
    shift
    for address in "$@"; do
        in_ns "$ns" ping -q -c 3 -i 0.1 -W 2 "$address" | grep -q ' 0% packet loss' ||
            fail "$ns gets no answer from $address"
    done
}

drops() { sandgate drops --all --json | jq ".drops[] | select(.reason == \"$1\") | .count"; }
counter() { sandgate status --json | jq ".dataplane.counters.$1"; }
agent_field() { sandgate agents "$1" --json | jq -r ".agents[0].$2"; }

# grew NAME BEFORE [BY]: the drop counter NAME is at least BY (1) above BEFORE.
grew() {
    local now
    now=$(drops "$1")
    ((now >= $2 + ${3:-1})) || fail "drop $1 was $2 and is $now; at least ${3:-1} more were expected"
}

try_tcp() { # NAMESPACE HOST PORT
    in_ns "$1" "$PYTHON" "$SG_SMOKE/try_tcp.py" "$2" "$3"
}

connects() {
    local said
    said=$(try_tcp "$@") || fail "$1 to $2 port $3 should connect: $said"
}

# refused NAMESPACE HOST PORT: at once (within 250 ms) and with a reason.
refused() {
    local said status=0 time
    said=$(try_tcp "$@") || status=$?
    ((status == 1)) || fail "$1 to $2 port $3 should be refused at once: $said"
    time=${said##*after }
    [[ ${time%%.*} -lt 250 ]] || fail "the refusal of $1 to $2 port $3 is slow: $said"
}

# Starts numbered datagrams from NAMESPACE to HOST for SECONDS; end_stream tells what became of them.
stream() {
    local ns=$1 host=$2 seconds=$3
    in_ns "$ns" "$PYTHON" "$SG_SMOKE/udp_stream.py" "$host" 7777 "$seconds" >"$SG_STATE/stream" 2>&1 &
    stream_pid=$!
    sleep 0.5
}

# Waits for it; sets sent and received. In the shell that started it, for only that one can wait.
end_stream() {
    wait "$stream_pid" || true
    read -r sent received <"$SG_STATE/stream" || fail "the stream did not run"
}

no_loss() {
    local sent received
    end_stream
    [[ $sent -gt 100 ]] || fail "the stream did not run: $(cat "$SG_STATE/stream")"
    [[ $sent == "$received" ]] || fail "$((sent - received)) of $sent datagrams were lost"
}

# snmp NAMESPACE PROTOCOL FIELD: a counter of the namespace's own stack.
snmp() {
    in_ns "$1" cat /proc/net/snmp | awk -v protocol="$2:" -v field="$3" '
        $1 == protocol && !at { for (at = 1; $at != field; at++) if (at > NF) exit 1; next }
        $1 == protocol { print $at }'
}

# Echo requests that a namespace's own stack has received over IPv4.
echoes_at() { snmp "$1" Icmp InEchos; }

# Makes the client of agent a or b start over: a new handshake at its next packet.
rejoin() {
    world_agent_down "$1"
    world_agent "$@"
}

# Everything as a test may expect to find it.
healthy() {
    world_policy
    pid_of dataplane >/dev/null || world_dataplane || return 1
    pid_of control >/dev/null || world_control
    world_ready && sandgate policy apply && world_ready
}
