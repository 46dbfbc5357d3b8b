# shellcheck shell=bash
# Forwarding and new handshakes go on without control; restarted, it takes over without losing a packet.
stream sg-agent-a 10.0.0.10 8
stop control KILL
sandgate status >/dev/null 2>&1 && fail "status says all is well without control"
sleep 1
rejoin b
connects sg-agent-b 10.0.0.10 5432
refused sg-agent-b 10.0.0.10 80
world_control
world_ready
no_loss
pings sg-agent-b 10.0.0.10
