# shellcheck shell=bash
# The small world of `./run demo` and of the smoke tests, in network namespaces that it alone makes:
#
#   sg-agent-a 192.0.2.11 --+
#                           +-- sg-inet (a switch) -- gw-wan [ sg-gw: the dataplane ] gw-lan -- sg-lan 10.0.0.10
#   sg-agent-b 192.0.2.12 --+           192.0.2.1                          10.0.0.1
#
# Nothing is ever made outside these namespaces, apart from $SG_STATE. Whatever exists there before and was not
# made by this file is refused, not changed. Only processes that this file started are ended, by id and start time.
# Usage: source it, then world_make, world_keys, world_policy, world_start, world_agent ...; world_down at the end.

SG_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SG_BUILD=${SG_BUILD:-$SG_ROOT/build}
SG_STATE=${SG_STATE:-/run/sandgate-demo}
SG_SMOKE=$SG_ROOT/tests/smoke
SG_NAMESPACES=(sg-gw sg-inet sg-lan sg-agent-a sg-agent-b)
SG_YAML=$SG_STATE/sandgate.yaml
SG_TUNNEL=10.66.0.0/24,fd66::/64,10.0.0.0/24,fd00:10::/64
PYTHON=/usr/bin/python3

die() {
    echo "sandgate: $*" >&2
    exit 1
}

# In a namespace. nsenter, because `ip netns exec` also gives a mount namespace of its own, and what the dataplane
# makes under /run/netns would be invisible to everyone else.
in_ns() {
    local ns=$1
    shift
    nsenter --net="/run/netns/$ns" -- "$@"
}

# Where meson put one of our programs.
program() {
    local found
    found=$(find "$SG_BUILD" -type f -name "$1" -perm -u+x 2>/dev/null | head -n 1)
    [[ -n $found ]] || die "$1 is not built in $SG_BUILD; ./run build builds it."
    echo "$found"
}

sandgate() {
    "${SG_CLI:=$(program sandgate)}" --config "$SG_YAML" "$@"
}

# --- processes -----------------------------------------------------------------------------------------------

start_time() { # field 22 of /proc/PID/stat, behind the name in brackets, names a process for ever
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    stat=${stat##*) }
    # shellcheck disable=SC2086
    set -- $stat
    [[ $1 != Z ]] && echo "${20}"
}

# start NAME COMMAND...: in the background, its output in $SG_STATE/log/NAME, remembered for stop.
start() {
    local name=$1
    shift
    setsid "$@" >>"$SG_STATE/log/$name" 2>&1 </dev/null &
    local pid=$! begun
    begun=$(start_time "$pid") || begun=0
    echo "$pid $begun" >"$SG_STATE/pid/$name"
    disown "$pid" 2>/dev/null || true
}

# The process id of a program that still runs.
pid_of() {
    local pid begun
    read -r pid begun 2>/dev/null <"$SG_STATE/pid/$1" || return 1
    [[ $(start_time "$pid") == "$begun" ]] && echo "$pid"
}

# stop NAME [SIGNAL]: ends it and waits; after five seconds by SIGKILL.
stop() {
    local name=$1 signal=${2:-TERM} pid
    if pid=$(pid_of "$name"); then
        kill -"$signal" "$pid" 2>/dev/null || true
        for _ in $(seq 100); do
            pid_of "$name" >/dev/null || break
            sleep 0.05
        done
        if pid_of "$name" >/dev/null; then kill -KILL "$pid" 2>/dev/null || true; fi
    fi
    rm -f "$SG_STATE/pid/$name"
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
    local seconds=$1 what=$2
    shift 2
    local end=$((SECONDS + seconds))
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= end)); then
            echo "waited $seconds s in vain for $what" >&2
            return 1
        fi
        sleep 0.1
    done
}

# --- the namespaces ------------------------------------------------------------------------------------------

has_ns() { [[ -e /run/netns/$1 ]]; }

world_exists() { [[ -e $SG_STATE/made ]]; }

world_check() {
    [[ $EUID -eq 0 ]] || die "network namespaces need root; use sudo."
    if world_exists; then
        die "the small world is up already (./run demo --keep?); ./run demo --down removes it."
    fi
    local ns
    for ns in "${SG_NAMESPACES[@]}" sandgate-host; do
        has_ns "$ns" && die "the network namespace $ns exists and was not made by this script; it is left alone."
    done
    [[ ! -e $SG_STATE ]] || die "$SG_STATE exists and was not made by this script; it is left alone."
}

# link NAMESPACE NAME NAMESPACE NAME [QUEUES]: a veth pair without checksum offload, which nobody would complete.
link() {
    local queues=${5:-1} side
    ip link add "$2" netns "$1" numrxqueues "$queues" numtxqueues "$queues" type veth \
        peer name "$4" netns "$3" numrxqueues "$queues" numtxqueues "$queues"
    for side in "$1 $2" "$3 $4"; do
        # shellcheck disable=SC2086
        set -- $side
        in_ns "$1" ethtool -K "$2" tx off >/dev/null 2>&1
        ip -n "$1" link set "$2" up
    done
}

# The programs' side of the world: sg-gw gets two links and nothing else: no address, no forwarding, no IPv6.
# SG_QUEUES queues per link.
world_make() {
    world_check
    mkdir -p "$SG_STATE"/{log,pid,key,state}
    chmod 700 "$SG_STATE/key"
    touch "$SG_STATE/made"
    local ns
    for ns in "${SG_NAMESPACES[@]}"; do
        ip netns add "$ns"
        echo "$ns" >>"$SG_STATE/made"
        ip -n "$ns" link set lo up
    done
    local quiet=(net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 net.ipv4.ip_forward=0)
    in_ns sg-gw sysctl -qw "${quiet[@]}"
    in_ns sg-inet sysctl -qw "${quiet[@]}"
    ip -n sg-inet link add sg-br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
    ip -n sg-inet link set sg-br0 up
    link sg-gw gw-wan sg-inet up-gw "${SG_QUEUES:-1}"
    link sg-gw gw-lan sg-lan eth0 "${SG_QUEUES:-1}"
    link sg-agent-a eth0 sg-inet up-a
    link sg-agent-b eth0 sg-inet up-b
    local port
    for port in up-gw up-a up-b; do ip -n sg-inet link set "$port" master sg-br0; done
    for ns in a:11 b:12; do
        ip -n "sg-agent-${ns%:*}" addr add "192.0.2.${ns#*:}/24" dev eth0
        ip -n "sg-agent-${ns%:*}" addr add "2001:db8::${ns#*:}/64" dev eth0 nodad
    done
    ip -n sg-lan addr add 10.0.0.10/24 dev eth0
    ip -n sg-lan addr add fd00:10::10/64 dev eth0 nodad
    ip -n sg-lan route add 10.66.0.0/24 via 10.0.0.1
    ip -n sg-lan route add fd66::/64 via fd00:10::1
}

# Removes what world_make and the starts made, in any state; silent when there is nothing.
world_down() {
    [[ -d $SG_STATE ]] && world_exists || return 0
    local file ns
    for file in "$SG_STATE"/pid/*; do
        [[ -e $file ]] && stop "$(basename "$file")"
    done
    rm -f /run/wireguard/sg-wg-{a,b}.sock
    while read -r ns; do
        if has_ns "$ns"; then ip netns del "$ns"; fi
    done <"$SG_STATE/made"
    # Checked absent before the world was made, so it is ours: the dataplane's host port.
    if has_ns sandgate-host; then ip netns del sandgate-host; fi
    rm -rf "$SG_STATE"
}

# --- keys and policy -----------------------------------------------------------------------------------------

world_keys() {
    local name
    for name in gateway build-bot research-bot; do
        "${SG_CLI:=$(program sandgate)}" keygen --out "$SG_STATE/key/$name"
    done
    # With an account for the service control reads its files as that account.
    if id -u sandgate >/dev/null 2>&1; then chown -R sandgate: "$SG_STATE/state" "$SG_STATE/key"; fi
}

public_key() { "${SG_CLI:=$(program sandgate)}" pubkey "$SG_STATE/key/$1"; }

# The device of a port by the driver in SG_DRIVER (net_af_xdp or net_af_packet).
device() { # NUMBER INTERFACE
    if [[ ${SG_DRIVER:=net_af_xdp} == net_af_xdp ]]; then
        echo "net_af_xdp$1,iface=$2,start_queue=0,queue_count=1"
    else
        echo "net_af_packet$1,iface=$2,qpairs=${SG_QUEUES:-1}"
    fi
}

# Writes the one YAML file, whole, by rename. SG_GRANTS is the YAML list below `grants:`.
world_policy() {
    cat >"$SG_YAML.new" <<YAML
gateway:
  listen_port: 51820
  private_key_file: $SG_STATE/key/gateway
  public_endpoint: 192.0.2.1:51820
  tunnel_addresses: [10.66.0.1, "fd66::1"]
  tunnel_mtu: 1420

dataplane:
  workers: ${SG_WORKERS:-[1]}
  slow_path_core: 0
  hugepages: false
  test_mode: true
  adaptive_idle: true
  host_port: true
  control_socket: $SG_STATE/dataplane.sock

control:
  state_dir: $SG_STATE/state
  socket: $SG_STATE/control.sock

ports:
  - {name: wan, device: "$(device 0 gw-wan)", roles: [wan], addresses: [192.0.2.1/24, "2001:db8::1/64"], mtu: 1500}
  - {name: lan, device: "$(device 1 gw-lan)", roles: [lan], addresses: [10.0.0.1/24, "fd00:10::1/64"], mtu: 1500}

agents:
  - name: build-bot
    owner: alice@example.com
    tags: [ci]
    public_key: "$(public_key build-bot)"
    addresses: [10.66.0.11, "fd66::11"]
  - name: research-bot
    owner: bob@example.com
    tags: [research]
    public_key: "$(public_key research-bot)"
    addresses: [10.66.0.12, "fd66::12"]

hosts:
  web: [10.0.0.10, "fd00:10::10"]

services:
  names: {gateway: true, ip: ["udp:53"]}

grants:
$SG_GRANTS
YAML
    mv "$SG_YAML.new" "$SG_YAML"
}

# What the demo and most tests grant.
SG_GRANTS='  - {name: builds-read-the-web, src: ["tag:ci"], dst: ["host:web"], ip: ["tcp:80", "udp:7777", "icmp"]}
  - {name: research-reads-the-database, src: ["tag:research"], dst: ["host:web"], ip: ["tcp:5432", "icmp"]}
  - {name: the-lan-calls-builds, src: ["host:web"], dst: ["tag:ci"], ip: ["tcp:8080", "udp:7777", "icmp"]}
  - {name: everyone-may-ask-for-names, src: ["tag:ci", "tag:research"], dst: ["service:names"]}'

# --- the programs --------------------------------------------------------------------------------------------

# Up, or ended by a fault.
is_dataplane_decided() { [[ -S $SG_STATE/dataplane.sock ]] || ! pid_of dataplane; }

world_dataplane() {
    local arguments
    mapfile -t arguments < <(sandgate dataplane-args)
    start dataplane nsenter --net=/run/netns/sg-gw -- "$(program sandgate-dataplane)" "${arguments[@]}"
    wait_for 20 "the dataplane's socket" is_dataplane_decided || true
    if ! pid_of dataplane >/dev/null || [[ ! -S $SG_STATE/dataplane.sock ]]; then
        tail -n 5 "$SG_STATE/log/dataplane" >&2
        return 1
    fi
}

world_control() {
    start control "$(program sandgate-control)" --config "$SG_YAML"
}

is_in_force() { sandgate status --json | jq -e '.state == "ok" and .policy.in_force' >/dev/null; }

world_ready() {
    wait_for 15 "the policy to be in force" is_in_force || {
        sandgate status >&2 || true
        tail -n 5 "$SG_STATE"/log/{dataplane,control} >&2
        return 1
    }
}

# The services of the LAN host, and of the first agent for calls into the tunnel.
world_services() {
    start lan-services nsenter --net=/run/netns/sg-lan -- "$PYTHON" "$SG_SMOKE/services.py" 80 5432 7777
    wait_for 5 "the LAN host's services" in_ns sg-lan nc -z 127.0.0.1 5432
}

# AF_XDP where the kernel has it: a socket of that family can be made.
choose_driver() {
    SG_DRIVER=net_af_xdp
    if ! "$PYTHON" -c 'import socket; socket.socket(44, socket.SOCK_RAW)' 2>/dev/null; then
        SG_DRIVER=net_af_packet
    fi
    export SG_DRIVER
}

# Starts the gateway; where AF_XDP is missing or refuses the links, by packet sockets instead, and says so.
world_start() {
    [[ -n ${SG_DRIVER:-} ]] || choose_driver
    world_policy
    if ! world_dataplane; then
        [[ $SG_DRIVER == net_af_xdp ]] || return 1
        echo "AF_XDP does not work on this kernel; the dataplane uses net_af_packet instead." >&2
        stop dataplane
        export SG_DRIVER=net_af_packet
        world_policy
        world_dataplane || return 1
    fi
    world_control && world_services && world_ready
}

# A kernel that makes the link has the module; the trial lives in one of our namespaces.
has_kernel_wireguard() {
    ip -n sg-inet link add sg-wg-try type wireguard 2>/dev/null && ip -n sg-inet link del sg-wg-try
}

client_name() { if has_kernel_wireguard; then echo "the kernel's WireGuard"; else echo "wireguard-go"; fi; }

# agent_config a|b [ENDPOINT]: what `sandgate agent config` prints for that agent, for the networks behind us.
agent_config() {
    local name=build-bot
    [[ $1 == b ]] && name=research-bot
    sandgate agent config "$name" --private-key-file "$SG_STATE/key/$name" --allowed-ips "$SG_TUNNEL" \
        ${2:+--endpoint "$2"}
}

# world_agent a|b [ENDPOINT]: a stock client with that configuration, as `wg-quick up` would set it up.
world_agent() {
    local letter=$1 ns=sg-agent-$1 wg=sg-wg-$1 conf=$SG_STATE/sg-wg-$1.conf word
    (umask 077 && agent_config "$@" >"$conf")
    if has_kernel_wireguard; then
        ip -n "$ns" link add "$wg" type wireguard
    else
        WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1 LOG_LEVEL=error \
            start "client-$letter" nsenter --net="/run/netns/$ns" -- wireguard-go -f "$wg"
        wait_for 5 "wireguard-go of $ns" in_ns "$ns" wg show "$wg" || {
            tail -n 5 "$SG_STATE/log/client-$letter" >&2
            return 1
        }
    fi
    in_ns "$ns" wg setconf "$wg" <(wg-quick strip "$conf")
    for word in $(sed -n 's/^Address = //p' "$conf" | tr -d ,); do
        if [[ $word == *:* ]]; then
            ip -n "$ns" addr add "$word" dev "$wg" nodad
        else
            ip -n "$ns" addr add "$word" dev "$wg"
        fi
    done
    ip -n "$ns" link set "$wg" mtu "$(sed -n 's/^MTU = //p' "$conf")" up
    for word in $(sed -n 's/^AllowedIPs = //p' "$conf" | tr -d ,); do
        ip -n "$ns" route replace "$word" dev "$wg"
    done
}

world_agent_down() {
    local letter=$1
    ip -n "sg-agent-$letter" link del "sg-wg-$letter" 2>/dev/null || true
    stop "client-$letter"
    rm -f "/run/wireguard/sg-wg-$letter.sock"
}
