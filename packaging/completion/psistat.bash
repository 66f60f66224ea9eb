# bash completion for psistat. Written by packaging/completion/generate.
_psistat() {
	local word words=()
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()
	case $prev in
	-c|--color) words=('10,50') ;;
	-g|--cgroup) words=('**' '/system.slice' '/system.slice/*.service' '/user.slice') ;;
	-k|--kind) words=('some' 'full') ;;
	-n|--top) words=('10') ;;
	-r|--resource) words=('cpu' 'memory' 'io' 'irq' 'memory,io') ;;
	-C|--cgroup-root) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
	-P|--pressure) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
	--check) : ;;
	--warn) words=('10%' '40%') ;;
	--crit) words=('10%' '40%') ;;
	--suggest) words=('1h' '24h') ;;
	--record) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	--replay) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	-f|--config) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	--svg) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	*) words=(-a --averages -c --color -g --cgroup -j --json -k --kind -m --no-color -n --top -r --resource -t --timestamp -w --wide -C --cgroup-root -P --pressure --openmetrics --check --warn --crit --graph --suggest --record --replay -f --config --svg -h --help -V --version) ;;
	esac
	for word in "${words[@]}"; do
		[[ $word == "$cur"* ]] && COMPREPLY+=("$word")
	done
	return 0
}
complete -F _psistat psistat
