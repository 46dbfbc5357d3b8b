# shellcheck shell=bash
# Once set up, neither program has a capability, and the dataplane has a seccomp filter.
for name in dataplane control; do
    status=/proc/$(pid_of "$name")/status
    grep -qE '^CapEff:\s+0+$' "$status" || fail "$name has capabilities: $(grep CapEff "$status")"
    grep -qE '^CapPrm:\s+0+$' "$status" || fail "$name may regain capabilities: $(grep CapPrm "$status")"
    grep -qE '^NoNewPrivs:\s+1$' "$status" || fail "$name may gain privileges"
done
for status in /proc/"$(pid_of dataplane)"/task/*/status; do
    grep -qE '^Seccomp:\s+2$' "$status" || fail "a thread of the dataplane has no seccomp filter: $(head -n 1 "$status")"
    grep -qE '^CapEff:\s+0+$' "$status" || fail "a thread has capabilities: $(head -n 1 "$status")"
done
