# bash completion for forebayctl

_forebayctl_names() {  # of the volumes, pools, caches or known_hosts of the daemon that answers
  forebayctl status --socket "$_forebayctl_socket" -o yaml 2>/dev/null |
    awk -v kind="$1:" '/^[a-z_]+:/ { here = ($1 == kind) } here && /^    name: / { gsub(/"/, "", $2); print $2 }'
}

_forebayctl() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  local _forebayctl_socket=/run/forebay/control.sock
  local commands="status volumes hosts pools cache events explain connect-line top doctor pool volume mode drain detach attach
    retire abandon give-up-lost plan apply confirm reload"
  local command= sub= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --socket) _forebayctl_socket=${COMP_WORDS[i+1]} ;;
      -*) ;;
      *) if [ -z "$command" ]; then command=${COMP_WORDS[i]}; elif [ -z "$sub" ]; then sub=${COMP_WORDS[i]}; fi ;;
    esac
  done
  COMPREPLY=()
  case $before in
    -o|--output) COMPREPLY=($(compgen -W "table json yaml" -- "$word")); return ;;
    --socket|--config|--file) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --pool) COMPREPLY=($(compgen -W "$(_forebayctl_names pools)" -- "$word")); return ;;
    --layout) COMPREPLY=($(compgen -W "single linear stripe" -- "$word")); return ;;
    --block-size) COMPREPLY=($(compgen -W "512 4096" -- "$word")); return ;;
    --cache) [ "$command" = attach ] && COMPREPLY=($(compgen -W "$(_forebayctl_names caches)" -- "$word")); return ;;
    --disconnect) COMPREPLY=($(compgen -W "$(_forebayctl_names known_hosts)" -- "$word")); return ;;
    --wait|--interval|--since|--confirm-within|-n|--last|--count|--uuid|--overwrite|--chunk-size) return ;;
  esac
  local options="--socket --help"
  case $command in
    "") COMPREPLY=($(compgen -W "$commands --help --version" -- "$word")); return ;;
    status) options+=" -o --output --json --wait" ;;
    volumes|hosts|pools|cache|explain|connect-line) options+=" -o --output" ;;
    events) options+=" -o --output -f --follow --since -n --last" ;;
    top) options+=" -o --output --interval -n --count" ;;
    doctor) options+=" -o --output --config" ;;
    attach|abandon) options+=" --cache" ;;
    plan|reload) options+=" -o --output" ;;
    apply) options+=" -o --output --disconnect --confirm-within" ;;
    pool)
      case $sub in
        "") COMPREPLY=($(compgen -W "init add-member" -- "$word")); return ;;
        init) options="--layout --chunk-size --overwrite --help" ;;
        add-member) options+=" --overwrite" ;;
      esac ;;
    volume)
      case $sub in
        "") COMPREPLY=($(compgen -W "grow destroy rename adopt" -- "$word")); return ;;
        destroy|rename) options+=" --uuid" ;;
        adopt) options+=" --pool --file --block-size" ;;
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
    drain|detach|attach|abandon|give-up-lost) names=$(_forebayctl_names volumes) ;;
    retire) names=$(_forebayctl_names caches) ;;
    connect-line) names=$(_forebayctl_names known_hosts) ;;
    explain)
      names="$(_forebayctl_names volumes) $(_forebayctl_names pools) $(_forebayctl_names caches)
        $(_forebayctl_names listeners) $(_forebayctl_names known_hosts)" ;;
    plan|apply) COMPREPLY=($(compgen -f -- "$word")); return ;;
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
