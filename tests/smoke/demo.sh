#!/bin/bash
# `./run demo`: brings the small world up, shows what an identity may and may not do in it, and removes it again.
# --keep leaves it up, --down removes what --keep left.
set -euo pipefail
# shellcheck source=tests/smoke/world.sh
source "$(dirname "$(readlink -f "$0")")/world.sh"

step=0
step() { printf '\n\033[1m%d. %s\033[0m\n' $((step += 1)) "$*"; }
note() { printf '   %s\n' "$*"; }
show() { # PROMPT COMMAND...: the command as a person would type it, then what it prints
    printf '   \033[36m$ %s\033[0m\n' "$1"
    shift
    "$@" 2>&1 | sed 's/^/     /' || true
}

# expect WANTED COMMAND...: shows it and remembers when the outcome is another one.
wrong=0
expect() {
    local wanted=$1 prompt=$2 output status=0
    shift 2
    printf '   \033[36m$ %s\033[0m\n' "$prompt"
    output=$("$@" 2>&1) || status=$?
    printf '%s\n' "$output" | sed 's/^/     /'
    if { [[ $wanted == allowed && $status -ne 0 ]] || [[ $wanted == refused && $status -ne 1 ]]; }; then
        printf '     \033[31m^ this should have been %s\033[0m\n' "$wanted"
        wrong=$((wrong + 1))
    fi
}

if [[ ${1:-} == --down ]]; then
    [[ $EUID -eq 0 ]] || die "removing the demo needs root; use sudo."
    world_exists || { echo "There is no demo to remove." && exit 0; }
    world_down
    echo "The demo is removed."
    exit 0
fi

world_check
trap 'status=$?; trap - EXIT INT TERM; world_down; exit $status' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step "A small network, in namespaces of its own"
world_make
cat <<'PICTURE'

     sg-agent-a  build-bot     192.0.2.11 --+
                                            +--[ sg-gw: sandgate-dataplane ]-- sg-lan 10.0.0.10: web :80, database :5432
     sg-agent-b  research-bot  192.0.2.12 --+  192.0.2.1            10.0.0.1

PICTURE

step "Keys and one YAML file; the private keys never leave their owner"
world_keys
choose_driver
[[ $SG_DRIVER == net_af_xdp ]] || note "This kernel has no AF_XDP; the dataplane uses net_af_packet instead."
world_policy
show "cat sandgate.yaml   # the grants" grep -A 9 "^grants:" "$SG_YAML"

step "The gateway starts: sandgate-dataplane and sandgate-control"
world_start
note "The dataplane drives gw-wan and gw-lan by $SG_DRIVER; their namespace has no address and does not forward."

step "Two agents join with $(client_name), configured by our CLI"
show "sandgate agent config build-bot" sh -c "sed 's/^PrivateKey = .*/PrivateKey = (hidden)/'" < <(agent_config a)
world_agent a
world_agent b

step "build-bot may read the web server, over IPv4 and IPv6"
expect allowed "build-bot: curl http://10.0.0.10/" in_ns sg-agent-a curl -sS -m 5 http://10.0.0.10/
expect allowed "build-bot: curl http://[fd00:10::10]/" in_ns sg-agent-a curl -sS -m 5 'http://[fd00:10::10]/'
expect allowed "build-bot: ping 10.0.0.10" in_ns sg-agent-a ping -q -c 3 -i 0.2 -W 2 10.0.0.10
expect allowed "build-bot: ping fd00:10::10" in_ns sg-agent-a ping -q -c 3 -i 0.2 -W 2 fd00:10::10

step "research-bot may not: it is refused at once, with a reason, and does not hang"
expect refused "research-bot: connect to 10.0.0.10 port 80" in_ns sg-agent-b "$PYTHON" "$SG_SMOKE/try_tcp.py" 10.0.0.10 80
expect refused "research-bot: connect to fd00:10::10 port 80" in_ns sg-agent-b "$PYTHON" "$SG_SMOKE/try_tcp.py" fd00:10::10 80
note "What it was granted works:"
expect allowed "research-bot: connect to 10.0.0.10 port 5432" in_ns sg-agent-b "$PYTHON" "$SG_SMOKE/try_tcp.py" 10.0.0.10 5432

step "What the gateway saw"
show "sandgate agents" sandgate agents
show "sandgate drops" sandgate drops
show "sandgate status" sandgate status

echo
if ((wrong > 0)); then
    echo "$wrong of the steps went otherwise than they should; the programs' last words:"
    tail -n 5 "$SG_STATE"/log/*
    exit 1
fi
if [[ ${1:-} == --keep ]]; then
    trap - EXIT
    cat <<TEXT
The demo stays up. To look around, as root:
  export SANDGATE_CONFIG=$SG_YAML; PATH=$(dirname "$(program sandgate)"):\$PATH
  sandgate agents; sandgate drops; sandgate status
  ip netns exec sg-agent-a curl http://10.0.0.10/                # an agent's point of view
  ip netns exec sg-inet tcpdump -ni up-gw udp port 51820         # what the outside sees
  \${EDITOR:-vi} $SG_YAML                       # in force as soon as it is saved
  tail -f $SG_STATE/log/{dataplane,control}
To remove it: sudo ./run demo --down
TEXT
else
    echo "Every step went as it should. Removing the network; \`./run demo --keep\` would leave it up."
fi
