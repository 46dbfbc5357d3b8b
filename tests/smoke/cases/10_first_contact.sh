# shellcheck shell=bash
# A stock client's handshake, then pings over IPv4 and IPv6, also to the gateway's own port.
pings sg-agent-a 10.0.0.10 fd00:10::10
pings sg-agent-b 10.0.0.10 fd00:10::10
[[ $(agent_field build-bot endpoint) == 192.0.2.11:* ]] || fail "the endpoint is $(agent_field build-bot endpoint)"
(($(agent_field build-bot last_handshake_unix) > $(date +%s) - 200)) || fail "no recent handshake is shown"
(($(agent_field build-bot rx_bytes) > 0)) || fail "no received bytes are shown"
pings sg-agent-a 192.0.2.1 2001:db8::1
