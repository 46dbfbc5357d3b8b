# shellcheck shell=bash
# Recorded packets sent again, and forged ones, are refused by name; nothing of them is delivered or followed.
attack() { in_ns sg-inet "$PYTHON" "$SG_SMOKE/attack.py" "$@"; }
attack record up-a "$SG_STATE/recorded" 12 &
recorder=$!
sleep 2
rejoin a
pings sg-agent-a 10.0.0.10
agent_a ping -q -c 20 -i 0.02 10.0.0.10 >/dev/null
wait "$recorder" || fail "nothing was recorded"
endpoint=$(agent_field build-bot endpoint)
delivered=$(echoes_at sg-lan)
stale=$(drops counter_stale) forged=$(drops tag_mismatch) unknown=$(drops unknown_index)
initiations=$(drops handshake_replayed) mac1=$(drops mac1_invalid)
attack send up-gw "$SG_STATE/recorded" data
attack send up-gw "$SG_STATE/recorded" forged-tag
attack send up-gw "$SG_STATE/recorded" forged-index
attack send up-gw "$SG_STATE/recorded" initiation
attack send up-gw "$SG_STATE/recorded" forged-initiation
sleep 1
# Both names are told by the window; "replayed" is for twins within one burst.
grew counter_stale "$stale" 10
grew tag_mismatch "$forged" 10
grew unknown_index "$unknown" 10
grew handshake_replayed "$initiations"
grew mac1_invalid "$mac1"
# The rekey test, which runs beside this one, pings over IPv6 and is not counted here.
[[ $(echoes_at sg-lan) == "$delivered" ]] || fail "replayed packets were delivered"
[[ $(agent_field build-bot endpoint) == "$endpoint" ]] || fail "the endpoint followed a forgery"
pings sg-agent-a 10.0.0.10 fd00:10::10
