# shellcheck shell=bash
# Two workers on two queues: both do work, and every flow works whichever queue its packets come in by.
(($(sandgate status --json | jq .dataplane.workers) == 2)) || fail "there are not two workers"
pings sg-agent-a 10.0.0.10 fd00:10::10
pings sg-agent-b 10.0.0.10 fd00:10::10
# Many flows of both agents, so that the queues' hash spreads them.
for _ in $(seq 40); do
    connects sg-agent-a 10.0.0.10 80
    connects sg-agent-b 10.0.0.10 5432
done
for port in $(seq 41000 41015); do
    agent_a wg set sg-wg-a listen-port "$port"
    pings sg-agent-a 10.0.0.10
done
(($(counter handed_over) > 0)) || fail "no packet was handed from one worker to the other"
