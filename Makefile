# SPDX-License-Identifier: Apache-2.0
# The commands of the README. Meson and Ninja build; this only says how they are used.

BUILD = build
SANITIZER_BUILD = build-san
FUZZ_SECONDS = 60
# Targets to fuzz, by name; all if empty.
FUZZ =
# Benchmark to run, by name; all if empty.
BENCH =
# Calls of `make soak`.
CALLS = 1000000
DESTDIR =
PACKAGE = build-package
# Where check-package keeps the system that it boots.
CACHE = /var/tmp/qair-rootfs
JOBS = $(shell nproc)

ENTER = test/world/enter
# A Python that happens to come first in PATH may lack pytest; the distribution's has it.
PYTHON = /usr/bin/python3

.PHONY: help deps demo demo-shell demo-rootless check bench soak fuzz package check-package install clean build build-deps check-remote cross-aarch64 check-aarch64 check-guest check-vsock check-deps bench-deps

help:
	@echo 'make demo        two accounts become domains and call each other (root; a private world, nothing is left)'
	@echo 'make demo-shell  the same, then a shell as the domain work'
	@echo 'make demo-rootless  sandboxes of an ordinary user call each other (run it as one; no root)'
	@echo 'make check       build, test, test again under sanitizers; ends with: N passed, N failed (root)'
	@echo 'make check-remote  the tests of other hosts, with 1 GiB each way (root)'
	@echo 'make cross-aarch64  build for 64-bit ARM, and run the unit tests under emulation (Debian, root)'
	@echo 'make check-aarch64  the same, then calls between this machine and an emulated ARM one, both ways (Linux 6.7)'
	@echo 'make check-guest  calls between this machine and a virtual one that boots a Debian 12 with our package (root; minutes)'
	@echo 'make check-vsock  calls between a virtual host and a virtual machine of its own, over vsock (root; minutes)'
	@echo 'make fuzz        fuzz every parser for FUZZ_SECONDS ($(FUZZ_SECONDS)) each; FUZZ="name name" for some'
	@echo 'make bench       measure calls, streams and memory beside other tools (root); BENCH=name for one part'
	@echo 'make soak        make CALLS ($(CALLS)) calls of every kind: do memory and descriptors stay flat? (root, an hour)'
	@echo 'make install     install what make build has built, below DESTDIR if set'
	@echo 'make package     build the Debian package, in $(PACKAGE)'
	@echo 'make check-package  build it, boot a Debian 12 in a container (root), install it there, call, boot again, purge'
	@echo 'make build       build only, in $(BUILD)'
	@echo 'make deps        install what building and testing need (Debian, root); demo and check do it by themselves'
	@echo 'make clean       remove the build directories'

deps: check-deps

build-deps:
	@test/deps.sh demo

check-deps:
	@test/deps.sh

bench-deps:
	@test/deps.sh bench || echo 'bench: what is missing is shown as "not available"'

build: build-deps
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD) >/dev/null
	@ninja -C $(BUILD) -j $(JOBS) --quiet

demo: build
	@$(ENTER) $(BUILD) test/demo/demo.sh

# As an ordinary user; what is missing of the packages, root has to install.
demo-rootless:
	@test/deps.sh --check demo || echo 'demo-rootless: if the build fails, run as root: make deps'
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD) >/dev/null
	@ninja -C $(BUILD) -j $(JOBS) --quiet
	@test/demo/rootless.sh $(BUILD)

demo-shell: build
	@$(ENTER) $(BUILD) test/demo/demo.sh --shell

check: check-deps
	@JOBS=$(JOBS) SANITIZER_BUILD=$(SANITIZER_BUILD) test/check.sh

# The fuzz targets of `make check`, which only replays what is committed.
fuzz: check-deps
	@[ -f $(SANITIZER_BUILD)/build.ninja ] || CC=clang meson setup $(SANITIZER_BUILD) --werror \
		-Db_sanitize=address,undefined -Db_lundef=false -Dfuzz=true >/dev/null
	@ninja -C $(SANITIZER_BUILD) -j $(JOBS) --quiet
	@test/fuzz/run.sh $(SANITIZER_BUILD) $(FUZZ_SECONDS) $(FUZZ)

# As in `make check`, with streams of 1 GiB each way.
check-remote: build check-deps
	@QAIR_REMOTE_BYTES=1073741824 $(ENTER) $(BUILD) $(PYTHON) -m pytest -q -p no:cacheprovider test/e2e/test_remote.py

# For a Raspberry Pi and the like; the unit tests run under qemu's user-mode emulation.
cross-aarch64:
	@test/deps.sh cross
	@JOBS=$(JOBS) test/cross/aarch64.sh build-aarch64 $(CACHE)-aarch64

# Whole calls: the host over there is a Debian for arm64 in namespaces of its own, emulated as well.
check-aarch64: build check-deps cross-aarch64
	@test/cross/call.sh $(BUILD) build-aarch64 $(CACHE)-aarch64 $(CACHE)-aarch64-root

# It downloads a system, once, to CACHE-guest.
check-guest: build check-deps
	@test/deps.sh guest
	@CACHE='$(CACHE)-guest' test/guest/check.sh $(BUILD) $(DEB)

# The same system, with qemu in it; it goes to CACHE-vsock.
check-vsock: check-deps
	@test/deps.sh guest
	@CACHE='$(CACHE)-vsock' test/vsock/check.sh $(DEB)

bench: build bench-deps
	@case '$(BENCH)' in ''|policy) meson test -C $(BUILD) --no-rebuild --benchmark --verbose ;; esac
	@case '$(BENCH)' in policy) ;; *) $(ENTER) $(BUILD) test/bench/run $(BENCH) ;; esac

package:
	@test/package/build.sh $(PACKAGE)

# Not a part of `make check`: it downloads a system, once, to CACHE.
check-package:
	@CACHE='$(CACHE)' test/package/check.sh $(DEB)

# Not a part of `make check` either: it takes its time.
soak: build
	@$(ENTER) $(BUILD) $(PYTHON) test/bench/soak.py $(CALLS)

install:
	@[ -f $(BUILD)/build.ninja ] || { echo 'install: nothing is built yet. Run: make build' >&2; exit 1; }
	@DESTDIR='$(DESTDIR)' meson install -C $(BUILD) --no-rebuild --quiet

clean:
	rm -rf build build-check build-san $(PACKAGE)
