# make demo     see it work, as root on a fresh Debian
# make test     all tests, formatting, lints and docs
# make kernels  what depends on the kernel, on Debian's kernels in qemu: KERNELS="6.1 7.x" for some of them
# make fuzz     what no parser may do, tried out: FUZZ_SECONDS=10 for each, FUZZ_TARGETS="json yaml" for some
# make bench    what the hook, the wrapper, the CNI plugin and the API server cost: BEFORE=DIR beside an earlier build
# make image    the image of vendor-configs/kubernetes from what `make build` left: target/image/podhosts.tar
# make install  PREFIX=/usr/local DESTDIR= CNI_BIN_DIR=/opt/cni/bin

PREFIX      ?= /usr/local
DESTDIR     ?=
CNI_BIN_DIR ?= /opt/cni/bin
# Of `make bench` and `make fuzz`.
BEFORE      ?=
FUZZ_TARGETS ?=

CARGO   ?= cargo
# Without a toolchain (sudo make install) what was built tells.
TARGET  ?= $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p' || true)
ifeq ($(TARGET),)
TARGET  := $(notdir $(patsubst %/release/podhosts,%,$(firstword $(wildcard $(CURDIR)/target/*/release/podhosts))))
endif
# With a target named, the flags below are for the programs only: build scripts and macros cannot be static.
RELEASE := $(CURDIR)/target/$(TARGET)/release
STATIC  := RUSTFLAGS="-C target-feature=+crt-static"
TOOLS   := $(CURDIR)/target/tools
CARGO_DENY := 0.20.2
PROGRAMS := podhosts podhosts-hook podhosts-runtime podhosts-cni podhosts-apiserver
# Built by calls of their own: one for all would give each the features that the others ask of the crates that they share,
# the hook those that kube asks for, and the server half a megabyte of tables for Unicode in regular expressions.
SERVER   := podhosts-apiserver
AGENT    := podhosts-node
# The image, and the commands that the scripts in vendor-configs/kubernetes use.
IMAGE      := $(CURDIR)/target/image
IMAGE_NAME := docker.io/library/podhosts:$(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
IMAGE_PROGRAMS := podhosts podhosts-hook podhosts-runtime podhosts-cni podhosts-node
IMAGE_COMMANDS := sh cat chmod cp ls mkdir mv rm sed sleep
# Newer engines than this Debian's, as a root folder: see integration/engines.sh.
ENGINES := $(CURDIR)/target/engines

DEMO_PACKAGES  := runc busybox-static
TEST_PACKAGES  := $(DEMO_PACKAGES) crun strace iproute2 nftables iptables containernetworking-plugins podman containerd python3 python3-venv debootstrap patch jq systemd
# For @kubernetes/client-node. A node of another origin brings its own, and Debian's conflicts with it.
TEST_PACKAGES += $(if $(shell command -v npm),,npm)
# Takes kernel packages apart and makes disks; qemu itself comes by integration/kernels/fetch-qemu.sh.
TEST_PACKAGES += kmod e2fsprogs xz-utils
IMAGE_PACKAGES := busybox-static umoci
# For the tests of the image.
TEST_PACKAGES += $(IMAGE_PACKAGES)
BENCH_PACKAGES := $(DEMO_PACKAGES) time iproute2 nftables containernetworking-plugins containerd

.PHONY: all build demo test kernels fuzz bench lint deny engines clients kernel test-kernel image install \
  uninstall clean need-demo need-test need-fuzz need-image need-bench

all: build

build:
	$(STATIC) $(CARGO) build --release --locked --target $(TARGET) $(addprefix -p ,$(filter-out $(SERVER),$(PROGRAMS)))
	$(STATIC) $(CARGO) build --release --locked --target $(TARGET) -p $(SERVER)
	$(STATIC) $(CARGO) build --release --locked --target $(TARGET) -p $(AGENT)

# Installs what is missing, where that is possible; without root the tests say what they skip.
define install_packages
	@missing=""; for package in $(1); do \
	  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q ' installed$$' || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing$$missing"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	elif [ -n "$$missing" ]; then echo "not installed, and cannot be from here:$$missing"; fi
endef

need-demo: ; $(call install_packages,$(DEMO_PACKAGES))
need-test: ; $(call install_packages,$(TEST_PACKAGES))
need-fuzz: ; $(call install_packages,g++)
need-image: ; $(call install_packages,$(IMAGE_PACKAGES))
need-bench: ; $(call install_packages,$(BENCH_PACKAGES))

# Only the programs that it shows, and in a profile of its own: a release takes three times as long.
demo: need-demo
	@echo "building podhosts, podhosts-hook and podhosts-runtime: a minute or so for the first time"
	@$(STATIC) $(CARGO) build --quiet --profile demo --locked --target $(TARGET) \
	  -p podhosts -p podhosts-hook -p podhosts-runtime
	@PODHOSTS_BIN_DIR=$(dir $(RELEASE))demo sh examples/demo.sh

engines: need-test
	@sh integration/engines.sh $(ENGINES)

# Clients of the API server in other languages, with what they depend on.
clients: need-test
	@CARGO="$(CARGO)" sh integration/apiserver/clients/prepare.sh $(CURDIR)/target/clients

# Each part says when it begins, and one that fails how to run it alone.
part = @echo "==> $(1)"; { $(2); } || { echo "FAILED: $(1). Again, alone: $(3)"; exit 1; }

test: need-test engines clients kernel lint deny build
	$(call part,unit tests,$(CARGO) test --locked --workspace --lib --quiet,$(CARGO) test --workspace --lib)
	$(call part,integration tests,PODHOSTS_BIN_DIR=$(RELEASE) $(CARGO) test --locked --package podhosts-integration,\
	  PODHOSTS_BIN_DIR=$(RELEASE) $(CARGO) test --package podhosts-integration -- NAME OF A TEST)
	$(call part,some tests on Linux 6.1,$(kernel_tests) && $(on_kernels) quick,make test-kernel)

# In the machine there is nothing to build the test program with: it gets cargo's own of this moment.
RUNS := $(CURDIR)/target/kernel-runs
kernel_tests = mkdir -p $(RUNS) && rm -f $(RUNS)/integration && \
  $(CARGO) test --locked --package podhosts-integration --test integration --no-run \
  --message-format=json-render-diagnostics | \
  jq -r 'select(.target.name? == "integration" and .executable) | .executable' | tail -n 1 | xargs -I{} cp {} $(RUNS)/integration
on_kernels = sh integration/kernels/kernels.sh $(CURDIR)/target/kernels $(RUNS) $(RELEASE) $(ENGINES)

# What `make test` takes for its tests on an older kernel.
kernel: need-test engines
	@$(on_kernels) fetch

test-kernel: kernel build
	@$(kernel_tests)
	@$(on_kernels) quick

kernels: need-test engines build
	@$(kernel_tests)
	@$(on_kernels)

# With libFuzzer, and the stable compiler: see fuzz/run.sh.
fuzz: need-fuzz
	@sh fuzz/run.sh $(FUZZ_TARGETS)

lint:
	$(call part,formatting,$(CARGO) fmt --all --check && \
	  $(CARGO) fmt --check --manifest-path integration/apiserver/clients/rust/Cargo.toml,$(CARGO) fmt --all)
	$(call part,the lock file of the fuzz targets,$(CARGO) metadata --locked --format-version=1 --manifest-path=fuzz/Cargo.toml \
	  >/dev/null,make lint)
	$(call part,clippy,$(CARGO) clippy --locked --workspace --all-targets -- -D warnings,make lint)
	$(call part,documents of the code,RUSTDOCFLAGS="-D warnings" \
	  $(CARGO) doc --locked --workspace --no-deps --document-private-items,make lint)

# Licences, duplicate crates and sources; and known faults of crates, where the database of these can be had.
deny:
	@export PATH="$$PATH:$(TOOLS)/bin"; command -v cargo-deny >/dev/null || \
	  $(CARGO) install --locked --quiet --root $(TOOLS) cargo-deny --version $(CARGO_DENY); \
	$(CARGO) deny check licenses bans sources && \
	if timeout 120 $(CARGO) deny fetch db >/dev/null 2>&1; then $(CARGO) deny check --disable-fetch advisories; \
	else echo "SKIP: cargo deny check advisories: its database, github.com/rustsec/advisory-db, cannot be fetched from here"; fi

# Measures the programs that `make build` left. Bundles are on a tmpfs, as under /run.
bench: need-bench build
	$(CARGO) build --locked --profile bench --package podhosts-integration --bin crictl
	TMPDIR=/dev/shm PODHOSTS_BIN_DIR=$(RELEASE) PODHOSTS_BEFORE_BIN_DIR=$(BEFORE) \
	  $(CARGO) bench --locked --package podhosts-bench

# An OCI archive with nothing from a registry: busybox's shell for the scripts of the DaemonSet, and the programs.
# `ctr -n k8s.io images import` takes it, and skopeo copies it to a registry.
image: need-image
	@for program in $(IMAGE_PROGRAMS); do test -x $(RELEASE)/$$program || \
	  { echo "$(RELEASE)/$$program is missing: run make build first"; exit 1; }; done
	@rm -rf $(IMAGE) && mkdir -p $(IMAGE)/root/bin $(IMAGE)/root/podhosts
	@install -m 755 $(addprefix $(RELEASE)/,$(IMAGE_PROGRAMS)) $(IMAGE)/root/podhosts
	@install -m 755 $$(command -v busybox) $(IMAGE)/root/bin/busybox
	@for name in $(IMAGE_COMMANDS); do ln -s busybox $(IMAGE)/root/bin/$$name; done
	@set -e; image=$(IMAGE)/layout:$(IMAGE_NAME); umoci init --layout $(IMAGE)/layout; umoci new --image $$image; \
	  own=$$([ "$$(id -u)" = 0 ] || echo --rootless); umoci insert $$own --image $$image $(IMAGE)/root /; \
	  umoci config --image $$image --config.env PATH=/bin --config.cmd sh
	@tar -C $(IMAGE)/layout --owner=0 --group=0 -cf $(IMAGE)/podhosts.tar . && rm -r $(IMAGE)/root $(IMAGE)/layout
	@echo "$(IMAGE)/podhosts.tar has $(IMAGE_NAME)"

# Takes what `make build` left: with sudo, root need not have a toolchain.
install:
	@for program in $(PROGRAMS) $(AGENT); do test -x $(RELEASE)/$$program || \
	  { echo "$(RELEASE)/$$program is missing: run make build first"; exit 1; }; done
	install -D -m 755 -t $(DESTDIR)$(CNI_BIN_DIR) $(RELEASE)/podhosts-cni
	@# 0.1.0 had it beside the plugin, which would start that one first.
	rm -f $(DESTDIR)$(CNI_BIN_DIR)/podhosts-apiserver
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin \
	  $(addprefix $(RELEASE)/,$(filter-out podhosts-cni,$(PROGRAMS) $(AGENT)))
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 $(RELEASE)/man/*.1
	install -D -m 644 $(RELEASE)/completions/podhosts.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/podhosts
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(RELEASE)/completions/_podhosts
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d $(RELEASE)/completions/podhosts.fish
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/tmpfiles.d vendor-configs/systemd/podhosts.conf
	for file in hooks/*.json vendor-configs/[!d]*/*; do \
	  install -d $(DESTDIR)$(PREFIX)/share/podhosts/$$(dirname $$file); \
	  sed -e 's|/usr/local/bin|$(PREFIX)/bin|g' -e 's|/opt/cni/bin|$(CNI_BIN_DIR)|g' $$file > $(DESTDIR)$(PREFIX)/share/podhosts/$$file; done

# Containers that were made by the wrapper can be stopped by it alone, and an engine whose configuration leads to nothing
# starts none.
uninstall:
	@test -n "$(DESTDIR)" || ! test -x $(PREFIX)/bin/podhosts || $(PREFIX)/bin/podhosts in-use || \
	  { echo "these need the programs: drain the node; where pods come back, run podhosts unconfigure --restart and" \
	    "delete them"; exit 1; }
	@! ls $(DESTDIR)/var/lib/podhosts/configure/*.json 2>/dev/null || \
	  { echo "these engines are configured still: run podhosts unconfigure first"; exit 1; }
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,$(filter-out podhosts-cni,$(PROGRAMS) $(AGENT)))
	rm -f $(addprefix $(DESTDIR)$(CNI_BIN_DIR)/,podhosts-cni podhosts-apiserver)
	rm -f $(DESTDIR)$(PREFIX)/share/man/man1/podhosts.1 $(DESTDIR)$(PREFIX)/share/man/man1/podhosts-*.1
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/podhosts
	rm -f $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_podhosts
	rm -f $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/podhosts.fish
	rm -f $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/podhosts.conf
	rm -rf $(DESTDIR)$(PREFIX)/share/podhosts

clean:
	$(CARGO) clean
