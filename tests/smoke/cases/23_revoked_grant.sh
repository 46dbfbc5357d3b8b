# shellcheck shell=bash
# A removed grant cuts a live connection and refuses new ones; granted again, it works again.
agent_b sh -c '(echo one; sleep 3; echo two; sleep 2) | nc -q 1 -w 6 10.0.0.10 5432' >"$SG_STATE/live" 2>&1 &
live=$!
sleep 1
SG_GRANTS='  - {name: builds-read-the-web, src: ["tag:ci"], dst: ["host:web"], ip: ["tcp:80", "udp:7777", "icmp"]}
  - {name: research-pings, src: ["tag:research"], dst: ["host:web"], ip: ["icmp"]}' world_policy
sleep 1
refused sg-agent-b 10.0.0.10 5432
wait "$live" || true
grep -q '^one$' "$SG_STATE/live" || fail "the connection did not work to begin with"
! grep -q '^two$' "$SG_STATE/live" || fail "the live connection survived"
world_policy
wait_for 5 "the old grants" is_in_force
connects sg-agent-b 10.0.0.10 5432
