# shellcheck shell=bash
# The host port alone: the declared service can be asked, others are refused, and the caller's address is intact.
[[ -e /run/netns/sandgate-host ]] || fail "there is no namespace sandgate-host"
start resolver nsenter --net=/run/netns/sandgate-host -- "$(program sandgate-resolver)" \
    --listen 10.66.0.1 --name gateway.sandgate=10.66.0.1
sleep 0.5
"$PYTHON" - >"$SG_STATE/query" <<'P'
import sys
sys.stdout.buffer.write(b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0\x07gateway\x08sandgate\0\0\x01\0\x01")
P
answer=$(agent_a nc -u -w 2 10.66.0.1 53 <"$SG_STATE/query" | od -An -tx1 | tr -d ' \n')
stop resolver
[[ $answer == 1234*0a420001 ]] || fail "the resolver's answer is \"$answer\""
before=$(drops host_service_not_declared)
agent_a timeout 2 nc -u -w 1 10.66.0.1 54 <"$SG_STATE/query" >/dev/null || true
status=0
try_tcp sg-agent-a 10.66.0.1 22 >/dev/null || status=$?
((status != 0)) || fail "an undeclared service of the gateway can be reached"
(($(drops host_service_not_declared) + $(drops policy_denied) > before)) || fail "nothing was counted"
