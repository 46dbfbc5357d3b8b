# shellcheck shell=bash
# Twenty megabytes each way, IPv4 and IPv6; every byte arrives.
size=20000000
wanted=$("$PYTHON" -c "import hashlib, random; print(hashlib.sha256(random.Random($size).randbytes($size)).hexdigest())")
for host in 10.0.0.10 '[fd00:10::10]'; do
    got=$(agent_a curl -sS -m 60 "http://$host/bytes/$size" | tee "$SG_STATE/bulk" | sha256sum | cut -d ' ' -f 1)
    [[ $got == "$wanted" ]] || fail "what came from $host differs"
    got=$(agent_a curl -sS -m 60 -T "$SG_STATE/bulk" "http://$host/")
    [[ $got == "$wanted" ]] || fail "what went to $host differs"
done
rm -f "$SG_STATE/bulk"
