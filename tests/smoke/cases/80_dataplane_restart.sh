# shellcheck shell=bash
# Dead, the dataplane lets nothing around it. Restarted, the gateway itself shakes hands with silent clients.
delivered=$(echoes_at sg-lan)
stop dataplane KILL
agent_a ping -q -c 3 -i 0.2 -W 1 10.0.0.10 >/dev/null && fail "the dead gateway forwards"
# In clear text, straight at the gateway's links.
ip -n sg-agent-a route add 10.0.0.10/32 via 192.0.2.1 dev eth0 onlink 2>/dev/null || true
agent_a ping -q -c 3 -i 0.2 -W 1 10.0.0.10 >/dev/null && fail "plain packets pass the dead gateway"
ip -n sg-agent-a route del 10.0.0.10/32 via 192.0.2.1 dev eth0 2>/dev/null || true
lan ping -q -c 3 -i 0.2 -W 1 10.66.0.11 >/dev/null && fail "the dead gateway forwards from the LAN"
[[ $(echoes_at sg-lan) == "$delivered" ]] || fail "something reached the LAN around the dead dataplane"
in_ns sg-gw ip -br addr | grep -E 'gw-(wan|lan).*[0-9]\.[0-9]|gw-(wan|lan).*:.*/' && fail "a port's interface has an address"
[[ $(in_ns sg-gw cat /proc/sys/net/ipv4/ip_forward) == 0 ]] || fail "sg-gw forwards"
world_dataplane
world_ready
# The LAN speaks first, and the agent has nothing to say on its own.
wait_for 8 "the LAN to reach the agent after the restart" lan ping -q -c 1 -W 1 10.66.0.11
(($(counter handshakes_initiated) > 0)) || fail "the gateway did not initiate"
pings sg-agent-a 10.0.0.10 fd00:10::10
pings sg-agent-b 10.0.0.10
