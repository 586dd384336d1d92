# bash completion for forebayctl

_forebayctl_names() {  # of the volumes, pools, caches or known_hosts of the daemon that answers
  forebayctl status --socket "$_forebayctl_socket" -o yaml 2>/dev/null |
    awk -v kind="$1:" '/^[a-z_]+:/ { here = ($1 == kind) } here && /^    name: / { gsub(/"/, "", $2); print $2 }'
}

_forebayctl() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  local _forebayctl_socket=/run/forebay/control.sock
  local commands="status volumes hosts pools cache events explain connect-line top doctor support-bundle pool volume mode drain flush scrub tasks lost detach attach
    retire abandon give-up-lost write-protection overrides ana plan apply confirm reload token"
  local command= sub= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --socket) _forebayctl_socket=${COMP_WORDS[i+1]}; i=$((i + 1)) ;;
      --server|--token-file|--ca) i=$((i + 1)) ;;
      -*) ;;
      *) if [ -z "$command" ]; then command=${COMP_WORDS[i]}; elif [ -z "$sub" ]; then sub=${COMP_WORDS[i]}; fi ;;
    esac
  done
  COMPREPLY=()
  case $before in
    -o|--output) COMPREPLY=($(compgen -W "table json yaml" -- "$word")); return ;;
    --socket|--config|--file|--token-file|--ca) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --pool) COMPREPLY=($(compgen -W "$(_forebayctl_names pools)" -- "$word")); return ;;
    --layout) COMPREPLY=($(compgen -W "single linear stripe" -- "$word")); return ;;
    --block-size) COMPREPLY=($(compgen -W "512 4096" -- "$word")); return ;;
    --cache) [ "$command" = attach ] && COMPREPLY=($(compgen -W "$(_forebayctl_names caches)" -- "$word")); return ;;
    --clear) [ "$command" = overrides ] && { COMPREPLY=($(compgen -W "$(_forebayctl_names volumes) $(_forebayctl_names listeners)" -- "$word")); return; } ;;
    --disconnect) COMPREPLY=($(compgen -W "$(_forebayctl_names known_hosts)" -- "$word")); return ;;
    --role) COMPREPLY=($(compgen -W "viewer operator admin" -- "$word")); return ;;
    --server|--wait|--rate|--interval|--since|--confirm-within|-n|--last|--count|--uuid|--overwrite|--chunk-size|--if-match|--plan-hash) return ;;
  esac
  local options="--socket --server --token-file --ca --help"
  case $command in
    "") COMPREPLY=($(compgen -W "$commands --server --token-file --ca --help --version" -- "$word")); return ;;
    status) options+=" -o --output --json --wait" ;;
    volumes|hosts|pools|cache|explain|connect-line) options+=" -o --output" ;;
    events) options+=" -o --output -f --follow --since -n --last" ;;
    top) options+=" -o --output --interval -n --count" ;;
    doctor|support-bundle) options+=" -o --output --config" ;;
    attach|abandon) options+=" -o --output --cache" ;;
    drain|detach|retire|give-up-lost|write-protection) options+=" -o --output" ;;
    plan) options+=" -o --output --drop-overrides" ;;
    reload|confirm) options+=" -o --output --if-match" ;;
    mode|ana) options+=" -o --output --if-match --clear" ;;
    overrides) options+=" -o --output --if-match --clear --all" ;;
    apply) options+=" -o --output --if-match --disconnect --confirm-within --drop-overrides --plan-hash" ;;
    lost) options+=" -o --output" ;;
    flush) options+=" -o --output --all --no-wait" ;;
    scrub) options+=" -o --output --all --no-wait --rate" ;;
    tasks)
      case $sub in
        "") COMPREPLY=($(compgen -W "show cancel wait $options -o --output" -- "$word")); return ;;
        show|wait) options+=" -o --output" ;;
      esac ;;
    pool)
      case $sub in
        "") COMPREPLY=($(compgen -W "init add-member" -- "$word")); return ;;
        init) options="-o --output --layout --chunk-size --overwrite --help" ;;
        add-member) options+=" -o --output --overwrite" ;;
      esac ;;
    token)
      case $sub in
        "") COMPREPLY=($(compgen -W "create list revoke" -- "$word")); return ;;
        create) options+=" -o --output --role" ;;
        list) options+=" -o --output" ;;
      esac ;;
    volume)
      case $sub in
        "") COMPREPLY=($(compgen -W "grow destroy rename adopt" -- "$word")); return ;;
        grow) options+=" -o --output" ;;
        destroy) options+=" -o --output --uuid --cache" ;;
        rename) options+=" -o --output --uuid" ;;
        adopt) options+=" -o --output --pool --file --block-size" ;;
      esac ;;
  esac
  if [[ $word == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$word")); return; fi
  local names=
  case $command in
    mode)
      if [ -n "$sub" ]; then
        names="write-back write-through write-around pass-through read-only"
      else
        names=$(_forebayctl_names volumes)
      fi ;;
    drain|flush|scrub|lost|detach|attach|abandon|give-up-lost|write-protection) names=$(_forebayctl_names volumes) ;;
    ana) names=$(_forebayctl_names listeners) ;;
    retire) names=$(_forebayctl_names caches) ;;
    connect-line) names=$(_forebayctl_names known_hosts) ;;
    explain)
      names="$(_forebayctl_names volumes) $(_forebayctl_names pools) $(_forebayctl_names caches)
        $(_forebayctl_names listeners) $(_forebayctl_names known_hosts)" ;;
    plan|apply|support-bundle) COMPREPLY=($(compgen -f -- "$word")); return ;;
    volume) [ "$sub" = grow ] && names=$(_forebayctl_names volumes) ;;
    pool)
      case $sub in
        init) COMPREPLY=($(compgen -f -- "$word")); return ;;
        add-member) names=$(_forebayctl_names pools) ;;
      esac ;;
  esac
  COMPREPLY=($(compgen -W "$names" -- "$word"))
}
complete -F _forebayctl forebayctl
