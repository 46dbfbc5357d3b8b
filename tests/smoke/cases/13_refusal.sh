# shellcheck shell=bash
# What is not granted is refused at once, with a reason, and counted as policy_denied.
before=$(drops policy_denied)
refused sg-agent-b 10.0.0.10 80
refused sg-agent-b fd00:10::10 80
refused sg-agent-a 10.0.0.10 5432
refused sg-lan 10.66.0.12 8080
grew policy_denied "$before" 4
connects sg-agent-b 10.0.0.10 5432
connects sg-agent-b fd00:10::10 5432
# Agent to agent was granted to nobody.
refused sg-agent-a 10.66.0.12 22
