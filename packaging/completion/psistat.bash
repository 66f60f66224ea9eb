# bash completion for psistat. Written by packaging/completion/generate.
_psistat() {
	local word words=()
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()
	case $prev in
	-c) words=('10,50') ;;
	-g) words=('**' '/system.slice' '/system.slice/*.service' '/user.slice') ;;
	-n) words=('10') ;;
	-r) words=('cpu' 'memory' 'io' 'irq' 'memory,io') ;;
	-C) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
	-P) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
	--suggest) words=('1h' '24h') ;;
	--record) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	*) words=(-a -c -g -j -m -n -r -t -w -C -P --suggest --record -h -V) ;;
	esac
	for word in "${words[@]}"; do
		[[ $word == "$cur"* ]] && COMPREPLY+=("$word")
	done
	return 0
}
complete -F _psistat psistat
