# psilogd: build, check, install. `make` installs nothing, `make install` builds
# nothing, and neither touches a service manager.

PREFIX  = /usr/local
SBINDIR = $(PREFIX)/sbin
BINDIR  = $(PREFIX)/bin
MANDIR  = $(PREFIX)/share/man
BASHDIR = $(PREFIX)/share/bash-completion/completions
ZSHDIR  = $(PREFIX)/share/zsh/site-functions
FISHDIR = $(PREFIX)/share/fish/vendor_completions.d
# where the systemd unit goes, /usr/lib/systemd/system for example; empty: nowhere
UNITDIR =
# where the journal's catalog goes; with a unit, one of the two places of journalctl
CATALOGDIR = $(if $(UNITDIR),$(PREFIX)/lib/systemd/catalog)
# where the directory of drop-ins goes, in which psilogd looks below /etc; empty: nowhere
SYSCONFDIR = /etc
DESTDIR =

CARGO   = cargo
RUSTC   = rustc
INSTALL = install
TARGET  = $(shell uname -m)-unknown-linux-musl

VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
BUILT   = target/$(TARGET)/release
SCRIPTS = .ci/run tests/vm/run tests/vm/boot tests/vm/kernels tests/vm/image tests/vm/init \
	  tests/vm/verdict tests/vm/verdicts tests/vm/breakages tests/repeat \
	  tests/bench-psistat.sh tests/fuzz/run tests/lint-words tests/receivers/install packaging/completion/generate \
	  tests/fleet/install packaging/recipes/fleet/certificate \
	  packaging/dist packaging/deb packaging/audit packaging/recipes/psilogd-mail packaging/recipes/journald/psilogd-journal \
	  packaging/recipes/journald/psilogd-alert packaging/recipes/journald/psilogd-alive \
	  packaging/init/sysv/psilogd packaging/init/busybox/psilogd packaging/init/openrc/psilogd packaging/init/runit/run packaging/init/s6/run \
	  packaging/debian/tests/drill packaging/debian/tests/episode
PACKAGING_TESTS = $(filter-out %.sh,$(wildcard tests/packaging/*))

BUILD   = build
# not empty: for a TARGET like armv7-unknown-linux-musleabihf, see packaging/README.md
BUILD_STD =

# Rust's own linker folds equal functions, packs relocations and takes the layout
# of packaging/static.ld: 65 KB less on disk. Paths of the build machine stay out.
# Where the source of Rust's library is installed, its paths would come in: they are
# mapped to what they are where it isn't.
SYSROOT := $(shell $(RUSTC) --print sysroot)
COMMIT  := $(shell $(RUSTC) -vV | sed -n 's/^commit-hash: //p')
LLD     = $(wildcard $(SYSROOT)/lib/rustlib/*/bin/rust-lld)
# The layout knows functions by their v0 names.
FLAGS   = -Cforce-unwind-tables=no -Csymbol-mangling-version=v0 \
	  --remap-path-prefix=$(CURDIR)=. \
	  --remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}=cargo \
	  --remap-path-prefix=$(SYSROOT)/lib/rustlib/src/rust=/rustc/$(COMMIT)
ifneq ($(BUILD_STD),)
# A target that Rust has no library of: the library is built, too, and Zig links.
export RUSTC_BOOTSTRAP = 1
BUILD   = zigbuild -Zbuild-std=std,panic_abort
FLAGS  += -Clink-self-contained=no
else ifneq ($(and $(LLD),$(findstring musl,$(TARGET))),)
FLAGS  += -Clinker=rust-lld -Clink-self-contained=yes -Clink-arg=--icf=all \
	  -Clink-arg=--pack-dyn-relocs=relr -Clink-arg=--no-eh-frame-hdr \
	  -Clink-arg=-T$(CURDIR)/packaging/static.ld --cfg static_layout
endif

# The tarball of `make dist` has the crates with it and needs no network.
VENDOR  = --locked
ifneq ($(wildcard vendor),)
VENDOR += --offline --config 'source.crates-io.replace-with="vendored"' \
	  --config 'source.vendored.directory="vendor"'
endif

all: target
	RUSTFLAGS="$(FLAGS)" $(CARGO) $(BUILD) --release $(VENDOR) --target $(TARGET)

# The same programs at half the size: Rust's library is built from its source, for size
# and without what it says of a panic. Then `make install BUILT=$(TINY)`.
TINY = target/tiny/$(TARGET)/release
tiny: export RUSTC_BOOTSTRAP = 1
tiny: target
	@test -d "$(SYSROOT)/lib/rustlib/src/rust/library" || rustup component add rust-src
	RUSTFLAGS="$(FLAGS) -Zunstable-options -Cpanic=immediate-abort" \
	$(CARGO) build --release $(VENDOR) --target $(TARGET) --target-dir target/tiny \
		-Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size

# The static target is one command away, or the reason why it isn't is printed.
target:
ifneq ($(BUILD_STD),)
	@test -d "$(SYSROOT)/lib/rustlib/src/rust/library" || \
	rustup component add rust-src || { \
	echo "make: no source of Rust's library: install it with" \
	     "'rustup component add rust-src' or your distribution's package" \
	     "(Debian: rust-src)" >&2; exit 1; }
	@$(CARGO) zigbuild --help > /dev/null 2>&1 || { \
	echo "make: no cargo-zigbuild: install it with" \
	     "'pip install cargo-zigbuild', which brings Zig along" >&2; exit 1; }
else
	@test -d "$(SYSROOT)/lib/rustlib/$(TARGET)/lib" || \
	rustup target add $(TARGET) || { \
	echo "make: no Rust library for $(TARGET): install it with" \
	     "'rustup target add $(TARGET)' or your distribution's package" \
	     "(Debian: libstd-rust-dev has no musl; use rustup)," \
	     "or build it with BUILD_STD=yes, see packaging/README.md" >&2; exit 1; }
endif

check:
	$(CARGO) test $(VENDOR) $(TESTS)

# What both builds cost beside two programs in C: one table from one run. Then a refresh
# of psistat. BENCH=--quick makes few repetitions.
MUSL_GCC = musl-gcc
bench: all tiny
	MUSL_GCC="$(MUSL_GCC)" tests/bench/run $(BENCH) make=$(BUILT) tiny=$(TINY)
	tests/bench-psistat.sh $(BUILT)/psistat

# Alarms over traces of pressure, compared with what operators want: writes
# tests/replay/situations.md and episode.svg, the picture of README.md.
replay:
	REPLAY_WRITE=1 $(CARGO) test --locked --release --test replay -- --nocapture

# The model of the kernel in those, held against the kernels of the lab.
replay-lab: all
	tests/vm/run $(BUILT)/psilogd model
	REPLAY_LAB=$${PSILOGD_VM_CACHE:-$$HOME/.cache/psilogd-vm} \
	$(CARGO) test --locked --test replay lab -- --nocapture

# All tests of both programs on the small build of them.
check-tiny: tiny
	PSILOGD_TEST_BINARY=$(CURDIR)/$(TINY)/psilogd PSISTAT_TEST_BINARY=$(CURDIR)/$(TINY)/psistat \
	$(CARGO) test --locked --test it --test psistat --test receivers

# Page faults from an event to its line, in 204 starts of both static binaries.
faults: all tiny
	for built in $(BUILT) $(TINY); do \
	PSILOGD_TEST_BINARY=$(CURDIR)/$$built/psilogd PSILOGD_TEST_ROUNDS=17 \
	$(CARGO) test --locked --test it memory:: || exit 1; done

# What rules on cgroups cost, and a churn of 20,000 of them.
bench-cgroups: all
	tests/bench-cgroups.py $(BUILT)/psilogd

# User instructions for twice as many rules or cgroups, under valgrind: fails if they are
# more than 2.2 times as many. The binary is the dynamic one, which valgrind can preload.
bench-growth:
	$(CARGO) build --locked --release
	tests/bench-growth.py target/release/psilogd

# Delivery while the receiver restarts, dies or hangs, beside others' senders.
bench-syslog:
	tests/receivers/install
	$(CARGO) test --locked --release --test storm

# The same binary on other kernels, with all privileges, in small machines (QEMU):
# in a few minutes, or every scenario on every kernel in half an hour.
check-vm: all
	tests/vm/verdicts
	REDUCED=yes KERNELS=6.1 JOBS=2 tests/vm/run $(BUILT)/psilogd

check-vm-all: all
	tests/vm/verdicts
	KERNELS='5.10 6.1 6.12 7.3' JOBS=2 tests/vm/run $(BUILT)/psilogd
	IMAGE=trixie KERNELS=6.12 tests/vm/run $(BUILT)/psilogd systemd systemd-recipes systemd-timers systemd-journal

# The two commands of README.md in fresh Debians, as root and as an ordinary user.
check-newcomer:
	tests/newcomer

# Every scenario, broken on purpose: a dead daemon, a scenario that is killed, a WARNING
# and a crash of the kernel. Each has to turn it red.
check-vm-breakages: all
	JOBS=2 tests/vm/breakages $(BUILT)/psilogd

# Every system call of a running daemon fails, and a watch over what it does then: the
# table of tests/README.md, in about five minutes.
inject:
	$(CARGO) build --locked
	tests/inject.py target/debug/psilogd

# Whether the tests of what decides notice each change that cargo-mutants makes to it.
# A change that survives gets a test, or a reason in tests/mutants.toml.
MUTANTS = $(CARGO) mutants --config tests/mutants.toml -j 2
# Tests that no such change fails, and those of over a second without optimization:
# each change costs a run of all others.
UNREACHED = cgroup:: daemon:: evidence:: sink:: sys:: trigger::
SLOW    = no_event_is_skipped no_text_is_too_odd pressure_that_never_ends_gets_no_rule \
	  a_nightly_backup_is_news_once_a_day a_proposal_comes_with_its_lines \
	  usual_pressure_does_not_fire the_figures_are_those_of_the_machine
mutants:
	$(MUTANTS) -f 'src/alert/*' -f 'src/episode/*' -f src/episode.rs -f 'src/rule/*' \
		-f 'src/report/*' -- -- $(addprefix --skip=,$(UNREACHED) stat::)
	$(MUTANTS) -f 'src/stat/**' -f src/stat.rs -- -- $(addprefix --skip=,$(UNREACHED) $(SLOW))

# Each fuzz target for MINUTES (1) under libFuzzer: tests/fuzz/README.md.
fuzz:
	tests/fuzz/run $(TARGETS)

lint:
	$(CARGO) fmt --check
	rustfmt --check --edition 2024 tests/fuzz/libfuzzer/main.rs
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) test --locked --test house
	mandoc -Tlint -Wwarning man/*
	shellcheck $(SCRIPTS)
	shellcheck -s dash -e SC1091 tests/vm/functions tests/vm/scenarios/*
	shellcheck -x -P SCRIPTDIR $(PACKAGING_TESTS) tests/newcomer
	shellcheck -s sh packaging/init/procd/psilogd
	$(CARGO) build --locked
	tests/lint-words target/debug
	@# these need tools that a host may lack; tests/packaging/install fetches them
	@PATH="$$PATH:$(CURDIR)/target/packaging/venv/bin" packaging/audit

install:
	@test -x $(BUILT)/psilogd || { echo "make: run 'make' first" >&2; exit 1; }
	$(INSTALL) -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1 \
	      $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man8 \
	      $(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(FISHDIR)
	$(INSTALL) -m 755 $(BUILT)/psilogd $(DESTDIR)$(SBINDIR)/psilogd
	$(INSTALL) -m 755 $(BUILT)/psistat $(DESTDIR)$(BINDIR)/psistat
	$(INSTALL) -m 644 man/psistat.1 $(DESTDIR)$(MANDIR)/man1/psistat.1
	$(INSTALL) -m 644 man/psilogd.conf.5 $(DESTDIR)$(MANDIR)/man5/psilogd.conf.5
	$(INSTALL) -m 644 man/psilogd.8 $(DESTDIR)$(MANDIR)/man8/psilogd.8
	for tool in psilogd psistat; do \
	$(INSTALL) -m 644 packaging/completion/$$tool.bash $(DESTDIR)$(BASHDIR)/$$tool && \
	$(INSTALL) -m 644 packaging/completion/_$$tool $(DESTDIR)$(ZSHDIR)/_$$tool && \
	$(INSTALL) -m 644 packaging/completion/$$tool.fish $(DESTDIR)$(FISHDIR)/$$tool.fish || \
	exit 1; done
	test -z "$(SYSCONFDIR)" || $(INSTALL) -d -m 755 $(DESTDIR)$(SYSCONFDIR)/psilogd.conf.d
	test -z "$(UNITDIR)" || { $(INSTALL) -d $(DESTDIR)$(UNITDIR) && \
	sed 's|/usr/sbin|$(SBINDIR)|' packaging/systemd/psilogd.service \
		> $(DESTDIR)$(UNITDIR)/psilogd.service; }
	test -z "$(CATALOGDIR)" || $(INSTALL) -D -m 644 packaging/systemd/psilogd.catalog \
		$(DESTDIR)$(CATALOGDIR)/psilogd.catalog

uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/psilogd $(DESTDIR)$(BINDIR)/psistat \
	      $(DESTDIR)$(MANDIR)/man1/psistat.1 $(DESTDIR)$(MANDIR)/man5/psilogd.conf.5 \
	      $(DESTDIR)$(MANDIR)/man8/psilogd.8 \
	      $(DESTDIR)$(BASHDIR)/psilogd $(DESTDIR)$(BASHDIR)/psistat \
	      $(DESTDIR)$(ZSHDIR)/_psilogd $(DESTDIR)$(ZSHDIR)/_psistat \
	      $(DESTDIR)$(FISHDIR)/psilogd.fish $(DESTDIR)$(FISHDIR)/psistat.fish
	test -z "$(SYSCONFDIR)" || rmdir $(DESTDIR)$(SYSCONFDIR)/psilogd.conf.d 2> /dev/null || :
	test -z "$(UNITDIR)" || rm -f $(DESTDIR)$(UNITDIR)/psilogd.service
	test -z "$(CATALOGDIR)" || rm -f $(DESTDIR)$(CATALOGDIR)/psilogd.catalog

# Shell completion is made from -h.
completion:
	$(CARGO) build --locked
	packaging/completion/generate target/debug

# A tarball that builds offline, the same bytes from the same commit.
dist:
	packaging/dist

# Proves that, and that its binaries are the same in any directory.
dist-check:
	tests/packaging/dist

# Packages, recipes and service scripts, each with the tool that it is for.
check-packaging: all
	tests/packaging/install
	tests/packaging/run

# A thousand hosts and a central one on loopback, by packaging/recipes/fleet.
check-fleet: all
	tests/fleet/install
	tests/fleet/run

# Everything that a release consists of but its signature, from a commit that passed.
release:
	@test -z "$$(git status --porcelain)" || { echo "make: commit first" >&2; exit 1; }
	tests/receivers/install
	$(MAKE) lint
	$(MAKE) check
	$(MAKE) check-packaging
	$(MAKE) dist
	packaging/sbom > dist/psilogd-$(VERSION).cdx.json
	cd dist && sha256sum psilogd-$(VERSION).tar.gz psilogd-$(VERSION).cdx.json > SHA256SUMS
	@! grep -rl 'example\.org' packaging || echo "make: these name no real address yet:" \
		"put in the project's before you publish" >&2

# The Debian source package; packaging/debian goes into the tarball's tree as debian/.
deb:
	packaging/deb

clean:
	$(CARGO) clean
	rm -rf dist

.PHONY: all tiny target check check-tiny bench faults bench-cgroups bench-growth replay replay-lab bench-syslog check-vm check-vm-all check-vm-breakages inject lint install uninstall completion dist clean dist-check deb check-packaging check-newcomer check-fleet fuzz mutants release
