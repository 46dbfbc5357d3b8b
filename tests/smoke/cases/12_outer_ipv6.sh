# shellcheck shell=bash
# The tunnel itself over IPv6, with IPv4 and IPv6 inside.
rejoin a '[2001:db8::1]:51820'
pings sg-agent-a 10.0.0.10 fd00:10::10
endpoint=$(agent_field build-bot endpoint)
agent_a curl -sS -m 10 http://10.0.0.10/bytes/1000000 | wc -c | grep -qx 1000000 || fail "a megabyte did not arrive"
rejoin a
pings sg-agent-a 10.0.0.10
[[ $endpoint == '[2001:db8::11]:'* ]] || fail "the endpoint was shown as $endpoint"
