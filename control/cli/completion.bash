# Completion of `sandgate` for bash: commands, then options, then files and the names of agents.
_sandgate()
{
    local current previous words noun
    current=${COMP_WORDS[COMP_CWORD]}
    previous=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()

    case $previous in
        --socket | --config | --out | --private-key-file)
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
    esac

    words=()
    local word
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        [[ $word == -* ]] || words+=("$word")
    done
    noun=${words[0]-}

    local choices='--json --socket --config --help'
    case "$noun/${words[1]-}" in
        agent/config)
            choices+=' --qr --private-key-file --gateway-public-key --endpoint --allowed-ips'
            choices+=" $(sandgate agents 2>/dev/null | awk 'NR > 1 { print $1 }')"
            ;;
        agent/*) choices+=' config' ;;
        agents/*) choices+=" $(sandgate agents 2>/dev/null | awk 'NR > 1 { print $1 }')" ;;
        policy/check | policy/test | policy/diff | policy/explain | policy/who-can | policy/what-can | \
            dataplane-args/* | pubkey/*)
            [[ ${words[1]-} == check ]] && choices+=' --keys'
            [[ ${words[1]-} == explain ]] && choices+=' --src --dst --port --at'
            [[ $noun == dataplane-args ]] && choices+=' --shell'
            mapfile -t COMPREPLY < <(compgen -f -W "$choices" -- "$current")
            return
            ;;
        policy/import)
            if [[ ${words[2]-} == tailscale ]]; then
                mapfile -t COMPREPLY < <(compgen -f -W "$choices --out" -- "$current")
                return
            fi
            choices+=' tailscale'
            ;;
        policy/apply | policy/history | policy/rollback) ;;
        policy/*) choices+=' check test explain diff who-can what-can import apply history rollback' ;;
        completion/*) choices+=' bash' ;;
        keygen/* | genpsk/*) choices+=' --out' ;;
        drops/*) choices+=' --all' ;;
        status/*) ;;
        *) choices+=' keygen pubkey genpsk agent agents status drops policy dataplane-args completion' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$current")
}
complete -o filenames -F _sandgate sandgate
