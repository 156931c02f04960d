# What a new user types: `make demo`, `make test`. Both install what is missing (Debian, Ubuntu) and need root for it
# and for the real kernel.
.PHONY: demo bench test format setup clean

Examples := bridge-mode host-mode none-mode container-mode custom-network

setup:
	@Tools=; for package in libmnl-dev libsqlite3-dev pkg-config iproute2 nftables busybox-static strace; do \
	  dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || Tools="$$Tools $$package"; done; \
	if [ -n "$$Tools" ]; then \
	  if [ "$$(id -u)" != 0 ]; then echo "missing:$$Tools; install them, or run this as root" >&2; exit 1; fi; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$Tools >/dev/null; fi

demo: setup
	@if [ "$$(id -u)" != 0 ]; then echo "make demo needs root: it makes network namespaces" >&2; exit 1; fi
	swift build
	@for example in $(Examples); do echo; echo "=== $$example"; swift run --skip-build -q $$example || exit 1; done
	@echo; echo "=== who reaches whom"; swift run --skip-build -q five-modes

bench: setup
	@if [ "$$(id -u)" != 0 ]; then echo "make bench needs root: it makes network namespaces" >&2; exit 1; fi
	swift build -c release --product attach-benchmark
	.build/release/attach-benchmark
	swift build -c release --product store-benchmark
	.build/release/store-benchmark

test: setup
	@if [ "$$(id -u)" != 0 ]; then echo "make test needs root: its tests make network namespaces" >&2; exit 1; fi
	swift format lint --strict --recursive --parallel $$(ls -d Sources Tests Examples Benchmarks 2>/dev/null) Package.swift
	swift test --parallel

format:
	swift format --in-place --recursive --parallel $$(ls -d Sources Tests Examples Benchmarks 2>/dev/null) Package.swift

clean:
	rm -rf .build
