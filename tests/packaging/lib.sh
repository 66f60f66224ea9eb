# What the tests of this directory share; each is a script that says "ok: ...",
# "not ok: ..." or "skipped: ..." for every thing that it looks at.
# shellcheck shell=sh disable=SC2034 # used by those who read this in
set -eu
top=${top:-$(cd "$(dirname "$0")/../.." && pwd)}
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
# skip_all REASON: nothing in this script can be tried here, which in CI is a failure
skip_all() { skip "$*"; [ -z "${PSILOGD_TEST_NO_SKIP:-}" ]; exit; }
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

# More tasks than there are CPUs, for 30 s at the most; idle ends them.
busy() {
	spin=
	for _ in 1 2 3 4 5 6 7 8; do
		timeout 30 sh -c 'while :; do :; done' &
		pids="$pids $!"
		spin="$spin $!"
	done
}
# shellcheck disable=SC2086 # a list of words
idle() { kill $spin 2> /dev/null || :; }

# What stands before a command that needs no network, so that it has none, where that
# can be had.
alone=
! unshare -n true 2> /dev/null || alone='unshare -n'

# tarball: the path of the release tarball of this commit, made now
tarball() {
	(cd "$top" && packaging/dist > /dev/null) || return 1
	echo "$top"/dist/psilogd-*.tar.gz
}
# holds WHAT DIRECTORY SBINDIR: an installed tree has all that a package of ours has, and
# its daemon takes the configuration that comes with it
holds() {
	for file in "$3/psilogd" /usr/bin/psistat /etc/psilogd.conf \
		/usr/share/bash-completion/completions/psilogd /usr/share/bash-completion/completions/psistat \
		/usr/share/zsh/site-functions/_psilogd /usr/share/zsh/site-functions/_psistat \
		/usr/share/fish/vendor_completions.d/psilogd.fish /usr/share/fish/vendor_completions.d/psistat.fish; do
		expect "$1 holds $file" test -f "$2$file"
	done
	expect "$1 holds /etc/psilogd.conf.d" test -d "$2/etc/psilogd.conf.d"
	for page in man1/psistat.1 man5/psilogd.conf.5 man8/psilogd.8; do
		expect "$1 holds $page" sh -c "ls '$2/usr/share/man/$page' '$2/usr/share/man/$page.gz' 2> /dev/null | grep -q ."
	done
	expect "$1: the daemon takes that psilogd.conf" "$2$3/psilogd" -n -f "$2/etc/psilogd.conf"
	refuse "$1: no path of this machine" grep -rqaF -e "$scratch" -e "$HOME/" "$2"
}

# debian SUITE VARIANT [PACKAGES [NAME]]: $image becomes a tarball of such a Debian, made
# once by this name
debian() {
	image=$cache/${4:-$2}-$1.tar
	[ ! -e "$image" ] || return 0
	have mmdebstrap || skip_all "mmdebstrap is not installed"
	mmdebstrap --quiet --variant="$2" ${3:+"--include=$3"} "$1" "$cache/new-${image##*/}" ||
		skip_all "no chroot could be made: see above"
	mv "$cache/new-${image##*/}" "$image"
}
# unpack_root: $root becomes a directory with $image in it
unpack_root() {
	root=$scratch/chroot
	mkdir "$root"
	tar -xf "$image" -C "$root" --exclude=./dev
	mkdir -p "$root/dev"
	for device in null zero full random urandom; do
		cp -a "/dev/$device" "$root/dev/$device"
	done
}
