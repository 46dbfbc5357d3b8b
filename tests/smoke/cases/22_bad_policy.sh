# shellcheck shell=bash
# A broken policy is refused with its place, the last good one stays in force, and the next good one is taken.
stream sg-agent-a 10.0.0.10 4
SG_GRANTS='  - {name: oops, src: ["tag:ci"], dst: ["host:nowhere"], ip: ["tcp:80"]}' world_policy
sleep 1
connects sg-agent-a 10.0.0.10 80
refused sg-agent-b 10.0.0.10 80
said=$({ sandgate status --json || true; } | jq -r '.state, .problems[]')
[[ $said == degraded*sandgate.yaml:[0-9]*:[0-9]* ]] || fail "the status does not tell the place: $said"
said=$(sandgate policy check "$SG_YAML" 2>&1) && fail "policy check accepts the bad file"
[[ $said == *nowhere* ]] || fail "policy check does not name what is wrong: $said"
world_policy
wait_for 5 "the good policy" is_in_force
no_loss
