# What the tests of this directory share; each is a script that says "ok: ...",
# "not ok: ..." or "skipped: ..." for every thing that it looks at.
# shellcheck shell=sh disable=SC2034 # used by those who read this in
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
here=$top/tests/packaging
cache=$top/target/packaging
mkdir -p "$cache"
scratch=$(mktemp -d "$cache/scratch.XXXXXX")
pids=
failures=0

# Ends what the test has started, and nothing else.
over() {
	for pid in $pids; do kill "$pid" 2> /dev/null || :; done
	for pid in $pids; do wait "$pid" 2> /dev/null || :; done
	[ -n "${KEEP:-}" ] || rm -rf "$scratch"
}
trap over EXIT
trap 'exit 1' INT TERM

ok() { echo "ok: $*"; }
not_ok() { echo "not ok: $*"; failures=$((failures + 1)); }
skip() { echo "skipped: $*"; }
# skip_all REASON: nothing in this script can be tried here
skip_all() { skip "$*"; exit 0; }
finish() { exit $((failures > 0)); }

# expect WHAT COMMAND...: a verdict by the command's success; its output on failure
expect() {
	what=$1
	shift
	if "$@" > "$scratch/expect" 2>&1; then ok "$what"; else
		not_ok "$what"
		head -n 20 "$scratch/expect" | sed 's/^/    /'
	fi
}
# refuse WHAT COMMAND...: the command must fail
refuse() {
	what=$1
	shift
	if "$@" > "$scratch/expect" 2>&1; then
		not_ok "$what"
		head -n 20 "$scratch/expect" | sed 's/^/    /'
	else ok "$what"; fi
}
# within SECONDS COMMAND...: waits until it succeeds
within() {
	deadline=$(($(date +%s) + $1))
	shift
	until "$@" > /dev/null 2>&1; do
		[ "$(date +%s)" -lt "$deadline" ] || return 1
		sleep 0.1
	done
}
have() { command -v "$1" > /dev/null; }

# The daemon under test: the static one, or any that is named.
psilogd=${PSILOGD:-$top/target/$(uname -m)-unknown-linux-musl/release/psilogd}
