# shellcheck shell=bash
# A packet of the tunnel's MTU passes; a larger one with DF is answered with the MTU; without DF it is fragmented.
agent_a ping -q -c 2 -i 0.2 -W 2 -M 'do' -s 1392 10.0.0.10 >/dev/null || fail "1420 bytes do not pass (IPv4)"
agent_a ping -q -c 2 -i 0.2 -W 2 -M 'do' -s 1372 fd00:10::10 >/dev/null || fail "1420 bytes do not pass (IPv6)"
said=$(lan ping -c 2 -i 0.2 -W 1 -M 'do' -s 1472 10.66.0.11 || true)
[[ $said == *1420* ]] || fail "no fragmentation needed for 1420: $said"
said=$(lan ping -c 2 -i 0.2 -W 1 -M 'do' -s 1452 fd66::11 2>&1 || true)
[[ $said == *1420* ]] || fail "no packet too big for 1420: $said"
lan ip route flush cache
before=$(snmp sg-agent-a Ip ReasmOKs)
lan ping -q -c 2 -i 0.2 -W 1 -M dont -s 1472 10.66.0.11 >/dev/null || true
(($(snmp sg-agent-a Ip ReasmOKs) >= before + 2)) || fail "fragments of 1500 bytes do not reach the agent"
