# What a new user types: `make demo`, `make test`. Both install what is missing (Debian, Ubuntu) and need root for it
# and for the real kernel.
.PHONY: demo bench bench-dns docs fuzz check test test-busy soak format setup setup-engines release install uninstall clean

Examples := bridge-mode host-mode none-mode container-mode custom-network
Folders := Sources Tests Examples Benchmarks Fuzz/Entries Fuzz/Harness

# All of the fuzzing, seconds, shared by its entries; and which entries (Fuzz/Entries/FuzzEntry.swift).
FUZZ_SECONDS := 60
FUZZ_ENTRIES := messages attributes acknowledgement link address route neighbor table chain set rule trace elements texts \
  subnetConfiguration routeDatagram netfilterDatagram dnsMessage

setup:
	@Tools=; for package in libmnl-dev libsqlite3-dev sqlite3 pkg-config iproute2 nftables busybox-static strace python3 \
	  bind9-dnsutils ldnsutils musl-tools dnsmasq-base; do \
	  dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || Tools="$$Tools $$package"; done; \
	if [ -n "$$Tools" ]; then \
	  if [ "$$(id -u)" != 0 ]; then echo "missing:$$Tools; install them, or run this as root" >&2; exit 1; fi; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$Tools >/dev/null; fi

# The engines that tests drive.
setup-engines:
	@Tools=; for package in podman crun containerd runc docker.io curl; do \
	  dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || Tools="$$Tools $$package"; done; \
	if [ -n "$$Tools" ]; then apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$Tools >/dev/null; fi

demo: setup
	@if [ "$$(id -u)" != 0 ]; then echo "make demo needs root: it makes network namespaces" >&2; exit 1; fi
	swift build
	@for example in $(Examples); do echo; echo "=== $$example"; swift run --skip-build -q $$example || exit 1; done
	@echo; echo "=== managing-networks"; swift run --skip-build -q managing-networks
	@echo; echo "=== who reaches whom"; swift run --skip-build -q five-modes

# What Documentation/Performance.md tells of. QUICK=1: two minutes, to see that all of it works. ROUNDS: turns at each count;
# PEER_LIMIT: beside how many containers the others are measured at the most; ONLY: some parts; DOCUMENT=Documentation: the
# page is made of this run.
bench: setup
	@if [ "$$(id -u)" != 0 ]; then echo "make bench needs root: it makes network namespaces" >&2; exit 1; fi
	@Tools=; for package in netavark containernetworking-plugins iptables; do \
	  dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || Tools="$$Tools $$package"; done; \
	if [ -n "$$Tools" ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$Tools >/dev/null; fi
	swift build -c release --product benchmark
	swift build -c release --product cnet
	@mkdir -p .build/bench
	.build/release/benchmark --json .build/bench/performance.json --svg .build/bench/attach.svg \
	  --commit "$$(git describe --always --dirty=+ --exclude '*' 2>/dev/null)" \
	  $(if $(QUICK),--quick) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(PEER_LIMIT),--peer-limit $(PEER_LIMIT)) \
	  $(if $(ONLY),--only $(ONLY)) $(if $(DOCUMENT),--document $(DOCUMENT)) $(if $(REMARK),--remark "$(REMARK)")

# The name server against those of others; about three minutes.
bench-dns: setup
	@Tools=; for package in aardvark-dns dnsmasq-base dnsperf; do \
	  dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || Tools="$$Tools $$package"; done; \
	if [ -n "$$Tools" ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$Tools >/dev/null; fi
	swift build -c release --product dns-benchmark
	@mkdir -p .build/bench
	.build/release/dns-benchmark --json .build/bench/dns.json

docs: setup
	swift build
	@.ci/docs

# What is found is left in Fuzz/.build/found; a corpus that grows from run to run, in Fuzz/.build/corpus.
fuzz: setup
	cd Fuzz && swift build -c release -Xswiftc -sanitize=fuzzer,address -Xswiftc -use-ld=lld
	@cd Fuzz && mkdir -p .build/found && export SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0; \
	set -- $(FUZZ_ENTRIES); seconds=$$(($(FUZZ_SECONDS) / $$# + ($(FUZZ_SECONDS) < $$#))); \
	for entry in "$$@"; do \
	  export FUZZ_ENTRY=$$entry; corpus=.build/corpus/$$entry; mkdir -p $$corpus; \
	  FUZZ_SEEDS=$$corpus .build/release/fuzz || exit 1; \
	  if ! .build/release/fuzz -max_total_time=$$seconds -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
	    -artifact_prefix=.build/found/$$entry- $$corpus >.build/$$entry.log 2>&1; then \
	    tail -n 60 .build/$$entry.log; exit 1; fi; \
	  echo "$$entry: $$(grep -o 'Done [0-9]* runs.*' .build/$$entry.log)"; \
	done

# Without root: what can be seen on the simulated kernel.
check:
	swift format lint --strict --recursive --parallel $(Folders) Package.swift Fuzz/Package.swift
	swift build --build-tests
	@.ci/check

test: setup setup-engines
	@if [ "$$(id -u)" != 0 ]; then echo "make test needs root: its tests make network namespaces" >&2; exit 1; fi
	swift format lint --strict --recursive --parallel $(Folders) Package.swift Fuzz/Package.swift
	swift build --build-tests
	@.ci/suite

# The same beside others who keep the machine busy, so often.
ROUNDS_BUSY := 3
test-busy: setup
	@for round in $$(seq $(ROUNDS_BUSY)); do echo "=== round $$round of $(ROUNDS_BUSY)"; .ci/busy $(MAKE) test || exit 1; done

# Whether anything grows with the number of containers that came and went; half an hour. ATTACHES: in one process;
# PROCESSES: of the tool; DOCUMENT=Documentation/Endurance.md: the page is made of this run.
soak: setup
	@if [ "$$(id -u)" != 0 ]; then echo "make soak needs root: it makes network namespaces" >&2; exit 1; fi
	swift build -c release --product soak
	swift build -c release --product cnet
	.ci/apart .build/release/soak --tool "$$PWD/.build/release/cnet" \
	  --commit "$$(git describe --always --dirty=+ --exclude '*' 2>/dev/null)" \
	  $(if $(ATTACHES),--attaches $(ATTACHES)) $(if $(PROCESSES),--processes $(PROCESSES)) \
	  $(if $(DOCUMENT),--document $(DOCUMENT))

# Programs that need no library of Swift's on the machine.
release:
	swift build -c release --static-swift-stdlib --product cnet
	swift build -c release --static-swift-stdlib --product cnet-cni
	swift build -c release --static-swift-stdlib --product cnet-netavark

# PREFIX: below which (/usr/local); DESTDIR: what is put before every path, to pack it; BUILD: the directory with programs
# that are built, or they are built now. For single directories: BINDIR, CNIDIR, MANDIR, UNITDIR and others (Sources/Installation/install).
install:
	@$(if $(BUILD),:,$(MAKE) release)
	@BUILD="$(abspath $(or $(BUILD),.build/release))" Sources/Installation/install

uninstall:
	@Sources/Installation/install --uninstall

format:
	swift format --in-place --recursive --parallel $(Folders) Package.swift Fuzz/Package.swift

clean:
	rm -rf .build Fuzz/.build
