# bash completion for psilogd. Written by packaging/completion/generate.
_psilogd() {
	local word words=()
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()
	case $prev in
	-C) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
	-f) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	-o) words=('syslog' 'syslog:' 'udp:' 'kmsg' 'stdout' 'stderr') ;;
	*) words=(-C -f -o -n -t -s -v -h -V) ;;
	esac
	for word in "${words[@]}"; do
		[[ $word == "$cur"* ]] && COMPREPLY+=("$word")
	done
	return 0
}
complete -F _psilogd psilogd
