# shellcheck shell=bash
# TCP from the agent to the LAN and from the LAN to the agent, IPv4 and IPv6, the caller's address intact.
for host in 10.0.0.10 '[fd00:10::10]'; do
    said=$(agent_a curl -sS -m 5 "http://$host/")
    [[ $said == *"Hello 10.66.0.11"* || $said == *"Hello fd66::11"* ]] || fail "agent to LAN: $said"
done
start agent-services nsenter --net=/run/netns/sg-agent-a -- "$PYTHON" "$SG_SMOKE/services.py" 8080 0 7777
wait_for 5 "the agent's service" agent_a nc -z 127.0.0.1 8080
for host in 10.66.0.11 '[fd66::11]'; do
    said=$(lan curl -sS -m 5 "http://$host:8080/")
    [[ $said == *"Hello 10.0.0.10"* || $said == *"Hello fd00:10::10"* ]] || fail "LAN to agent: $said"
done
