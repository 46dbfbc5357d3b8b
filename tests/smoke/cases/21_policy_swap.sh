# shellcheck shell=bash
# Twenty new policies under traffic lose no packet.
first=$(sandgate status --json | jq .policy.epoch)
stream sg-agent-a 10.0.0.10 8
for i in $(seq 20); do
    SG_GRANTS="$SG_GRANTS
  - {name: \"extra-$i\", src: [\"agent:research-bot\"], dst: [\"10.0.0.$((20 + i))\"], ip: [\"tcp:$((1000 + i))\"]}" world_policy
    sleep 0.3
done
no_loss
wait_for 5 "the last policy" is_in_force
last=$(sandgate status --json | jq .policy.epoch)
((last >= first + 15)) || fail "twenty policies made the epoch go from $first to $last"
