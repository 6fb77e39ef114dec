# bash completion for slipway
_slipway() {
    local word=${COMP_WORDS[COMP_CWORD]} commands="add list show log alias rollback route policy apply key remove export predict chat evaluate bench replay serve verify gc doctor help"
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "$commands" -- "$word"))
    elif [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "$(slipway help "${COMP_WORDS[1]}" 2>/dev/null | grep -o -- '--[a-z-]*')" -- "$word"))
    else
        case ${COMP_WORDS[1]} in
        help) COMPREPLY=($(compgen -W "$commands" -- "$word")) ;;
        add | export) COMPREPLY=($(compgen -f -- "$word")) ;;
        *) COMPREPLY=($(compgen -W "$(slipway list --json 2>/dev/null | grep -o '"model":"[^"]*"' | cut -d'"' -f4 | sort -u)" -- "$word") $(compgen -f -- "$word")) ;;
        esac
    fi
}
complete -F _slipway slipway
