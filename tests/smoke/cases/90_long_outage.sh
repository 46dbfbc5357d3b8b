# shellcheck shell=bash
# Control is away for longer than a session lives: forwarding, rekeying and new handshakes go on. Four minutes, so it
# runs by name only: ./run smoke long_outage
handshake() { agent_b wg show sg-wg-b latest-handshakes | cut -f 2; }
before=$(handshake)
stop control KILL
said=$(agent_b ping -q -c 1100 -i 0.2 -W 2 10.0.0.10) || true
[[ $said == *' 0% packet loss'* ]] || fail "pings were lost while control was away: $said"
[[ $(handshake) -gt $before ]] || fail "no rekey while control was away"
rejoin a
pings sg-agent-a 10.0.0.10 fd00:10::10
refused sg-agent-b 10.0.0.10 80
world_control
world_ready
pings sg-agent-b 10.0.0.10
