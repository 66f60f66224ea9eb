# bash completion for psilogd. Written by packaging/completion/generate.
_psilogd() {
	local word words=()
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()
	case $prev in
	-C|--cgroup-root) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
	-f|--config) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	-o|--output) words=('auto' 'journal' 'journal:' 'syslog' 'syslog:' 'udp:' 'kmsg' 'stdout' 'stderr') ;;
	-u|--user) words=('nobody') ;;
	*) words=(-C --cgroup-root -f --config -o --output -n --check -t --drill --no-sandbox -s --stderr -u --user -v --verbose -h --help -V --version) ;;
	esac
	for word in "${words[@]}"; do
		[[ $word == "$cur"* ]] && COMPREPLY+=("$word")
	done
	return 0
}
complete -F _psilogd psilogd
