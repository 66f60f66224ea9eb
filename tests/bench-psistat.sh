#!/bin/sh
# What a refresh costs: instructions in user space (callgrind), system calls
# (strace) and the largest resident size of psistat, of `cat /proc/pressure/*`,
# and of a reader made of the procfs crate, in one run on one host. Of what runs
# on, the start is left out; cat is started for every refresh, as a loop does.
#
# usage: tests/bench-psistat.sh [PSISTAT [COMMAND ...]]
#
# A COMMAND is one more reader; N in it becomes the number of refreshes:
# 'vmstat 1 N'. Without a network the procfs reader is left out and says so.
set -eu

psistat=${1:-target/x86_64-unknown-linux-musl/release/psistat}
[ $# -gt 0 ] && shift
few=2
many=12

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

for tool in valgrind strace /usr/bin/time "$psistat"; do
	command -v "$tool" >"$tmp/which" || {
		echo "$0: $tool is not there" >&2
		exit 1
	}
done

instructions() {
	valgrind --tool=callgrind --callgrind-out-file="$tmp/out" "$@" 2>&1 >"$tmp/stdout" |
		sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

calls() {
	strace -f -c -o "$tmp/calls" "$@" >"$tmp/stdout"
	awk '$NF == "total" { print $4 }' "$tmp/calls"
}

# In KiB. A parent that is small itself, since exec hands on its largest size.
resident() {
	/usr/bin/time -f %M -o "$tmp/resident" "$@" >"$tmp/stdout"
	cat "$tmp/resident"
}

row() {
	printf '%-42s %12s %6s %8s\n' "$@"
}

# A reader that runs on: by the difference of two runs.
each() {
	# shellcheck disable=SC2046 # words are meant to be split
	{
		a=$(instructions $(echo "$2" | sed "s/\<N\>/$few/g"))
		b=$(instructions $(echo "$2" | sed "s/\<N\>/$many/g"))
		c=$(calls $(echo "$2" | sed "s/\<N\>/$few/g"))
		d=$(calls $(echo "$2" | sed "s/\<N\>/$many/g"))
		r=$(resident $(echo "$2" | sed "s/\<N\>/$many/g"))
	}
	row "$1" "$(((b - a) / (many - few)))" "$(((d - c) / (many - few)))" "$r"
}

# The same reading and printing on top of the crate that Rust programs use.
procfs_reader() {
	mkdir -p "$tmp/reader/src"
	cat >"$tmp/reader/Cargo.toml" <<-'END'
		[package]
		name = "reader"
		version = "0.0.0"
		edition = "2021"
		[dependencies]
		procfs = { version = "0.17", default-features = false }
		[profile.release]
		opt-level = "z"
		lto = "fat"
		codegen-units = 1
		panic = "abort"
		strip = true
		[workspace]
	END
	cat >"$tmp/reader/src/main.rs" <<-'END'
		use procfs::{CpuPressure, Current, IoPressure, MemoryPressure};
		fn main() {
		    let count: u32 = std::env::args().nth(1).unwrap().parse().unwrap();
		    for _ in 0..count {
		        let cpu = CpuPressure::current().unwrap().some;
		        let memory = MemoryPressure::current().unwrap();
		        let io = IoPressure::current().unwrap();
		        for line in [cpu, memory.some, memory.full, io.some, io.full] {
		            print!(" {:6.2}", line.avg10);
		        }
		        println!();
		        std::thread::sleep(std::time::Duration::from_millis(10));
		    }
		}
	END
	cargo build -q --release --manifest-path "$tmp/reader/Cargo.toml" >"$tmp/cargo" 2>&1
}

row 'a refresh of' instructions calls 'RSS KiB'
each 'psistat 0.01' "$psistat 0.01 N"
each 'psistat -t 0.01' "$psistat -t 0.01 N"
each 'psistat -a 0.01' "$psistat -a 0.01 N"
each 'psistat -j 0.01' "$psistat -j 0.01 N"
row 'cat /proc/pressure/*' "$(instructions cat /proc/pressure/*)" \
	"$(calls cat /proc/pressure/*)" "$(resident cat /proc/pressure/*)"
if procfs_reader; then
	each 'a reader of the procfs crate (avg10 only)' "$tmp/reader/target/release/reader N"
else
	echo "a reader of the procfs crate: can't be built here: $(tail -n 1 "$tmp/cargo")"
fi
for other; do
	each "$other" "$other"
done

awk 'BEGIN {
	print "psistat record 1\ngroup -\n1000000000 a0 b0 c0 d0 e0 f0"
	for (i = 0; i < 864000; i++) {
		m = i % 144000 > 138000 ? 30000 : i % 7
		e = (i * 7919) % (i % 36000 < 9000 ? 60000 : 2000)
		printf "100000 a%d c%d d%d e%d f%d\n", i * 31 % 90000, m + 9, m, e + 9, e
	}
}' >"$tmp/day"
row 'psistat --replay DAY' "$(instructions "$psistat" --replay "$tmp/day")" \
	"$(calls "$psistat" --replay "$tmp/day")" "$(resident "$psistat" --replay "$tmp/day")"
/usr/bin/time -f '%U s in user space' "$psistat" --replay "$tmp/day" 2>&1 >"$tmp/stdout" |
	tail -n 1
