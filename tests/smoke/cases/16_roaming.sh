# shellcheck shell=bash
# The agent changes its port, then its address, in the middle of a stream; the gateway follows authentic packets.
stream sg-agent-a 10.0.0.10 5
agent_a wg set sg-wg-a listen-port 41234
sleep 1.5
port_endpoint=$(agent_field build-bot endpoint)
ip -n sg-agent-a addr add 192.0.2.21/24 dev eth0
ip -n sg-agent-a addr del 192.0.2.11/24 dev eth0
ip -n sg-agent-a addr show dev eth0 | grep -q 192.0.2.21 || ip -n sg-agent-a addr add 192.0.2.21/24 dev eth0
# wireguard-go clings to the old source address until its socket is made anew.
agent_a wg set sg-wg-a listen-port 41235
sleep 1.5
address_endpoint=$(agent_field build-bot endpoint)
sent=0 received=0
end_stream
ip -n sg-agent-a addr add 192.0.2.11/24 dev eth0
ip -n sg-agent-a addr del 192.0.2.21/24 dev eth0
ip -n sg-agent-a addr show dev eth0 | grep -q 192.0.2.11 || ip -n sg-agent-a addr add 192.0.2.11/24 dev eth0
rejoin a
pings sg-agent-a 10.0.0.10
[[ $port_endpoint == 192.0.2.11:41234 ]] || fail "after the port's change the endpoint is $port_endpoint"
[[ $address_endpoint == 192.0.2.21:41235 ]] || fail "after the address's change the endpoint is $address_endpoint"
((received * 100 >= sent * 97)) || fail "only $received of $sent datagrams survived the moves"
