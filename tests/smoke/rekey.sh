#!/bin/bash
# The client renews its session after 120 s (REKEY_AFTER_TIME) in the middle of pings; none is lost.
set -euo pipefail
# shellcheck source=tests/smoke/helpers.sh
source "$(dirname "$(readlink -f "$0")")/helpers.sh"

# Agent b pings; the cases that run meanwhile leave its client alone.
handshake() { agent_b wg show sg-wg-b latest-handshakes | cut -f 2; }
before=$(handshake)
said=$(agent_b ping -q -c 650 -i 0.2 -W 2 fd00:10::10) || true
[[ $(handshake) -gt $before ]] || fail "no new handshake in 130 s; the last is $(($(date +%s) - $(handshake))) s old"
[[ $said == *' 0% packet loss'* ]] || fail "pings were lost: $said"
