# make          build/mesh: the release (musl, static, stripped); build/mesh.debug is the same with symbols
# make help     everything else
# How it is built is explained in CONTRIBUTING.md, the libraries in vendor/README.md.

ifeq ($(origin CC),default)
  CC := gcc
endif
ifeq ($(origin AR),default)
  AR := ar
endif
HOSTCC ?= $(CC)
FUZZCC ?= clang
PYTHON ?= python3
PREFIX ?= /usr/local
SECS   ?= 60
WERROR ?= -Werror
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
B := build

# Both cores by default; 'make -j1' still means one.
ifeq (,$(filter -j% --jobserver%,$(MAKEFLAGS)))
  MAKEFLAGS += -j$(shell nproc)
endif
MAKEFLAGS += --no-print-directory --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:

rwildcard = $(foreach d,$(wildcard $(1)/*),$(if $(filter $(subst *,%,$(2)),$(d)),$(d)) $(call rwildcard,$(d),$(2)))

# --- sources -----------------------------------------------------------------------------------------------------

HOST_SRC := $(wildcard src/proto/pbgen*.c)
C_SRC    := $(filter-out $(HOST_SRC),$(call rwildcard,src,*.c))
FUZZ_SRC := $(filter %_fuzz.c,$(C_SRC))
SRC      := $(filter-out $(FUZZ_SRC),$(C_SRC))
PROTOS   := $(sort $(wildcard src/proto/*.proto))
PB_C     := $(if $(PROTOS),$(PROTOS:src/%.proto=$(B)/gen/%.pb.c) $(B)/gen/proto/types.pb.c)
# Folders whose files are put into the binary: src/A/B becomes A/B_files.h with a table B_files (base/embed.h).
EMBED    := $(patsubst %/,%,$(sort $(dir $(wildcard src/cli/help/* src/cli/demo/* src/cli/install/* src/control/web/dist/* src/inject/templates/*))))
EMBED_C  := $(EMBED:src/%=$(B)/gen/%_files.c)
GEN_C    := $(PB_C) $(EMBED_C)
OBJ      := $(SRC:%.c=%.o) $(GEN_C:$(B)/%.c=%.o)

UNIT     := $(call rwildcard,tests/unit,*_test.c)
SIM      := $(call rwildcard,tests/sim,*_test.c)
HELPERS  := $(filter-out %_test.c,$(foreach d,support unit,$(call rwildcard,tests/$(d),*.c)))
# Those of simulations stand in for parts of io, so only simulations link them.
SIM_HELPERS := $(filter-out %_test.c,$(call rwildcard,tests/sim,*.c))

# --- flags -------------------------------------------------------------------------------------------------------

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wwrite-strings -Wformat=2 \
        -Wno-format-nonliteral -Wno-format-truncation -Wno-gnu -Wno-unknown-warning-option $(WERROR)
WARN_CONVERSION := -Wconversion -Wno-sign-conversion -Wno-string-conversion
CF_ALL := -std=gnu11 -D_GNU_SOURCE -fno-strict-aliasing -fno-common -fvisibility=hidden -pthread -Isrc -I$(B)/gen \
          -include base/banned.h -ffile-prefix-map=$(CURDIR)=. $(WARN)
LIBS   := mbedtls ev inih z nghttp2 yyjson yaml cares sqlite3

VENDOR_musl  := $(B)/vendor/musl
VENDOR_glibc := $(B)/vendor/glibc
CF_musl  = -nostdinc -isystem $(VENDOR_musl)/include/libc -isystem $(shell $(CC) -print-file-name=include) \
           -isystem $(VENDOR_musl)/include -idirafter $(VENDOR_musl)/include/kernel
CF_glibc = -isystem $(VENDOR_glibc)/include

# A flavour: which libc, which compiler, how to compile, how to link. 'release' is what we ship.
FLAVOURS    := release dev asan tsan fuzz
LIBC_release := musl
LIBC_dev := glibc
LIBC_asan := glibc
LIBC_tsan := glibc
LIBC_fuzz := glibc
CC_fuzz  = $(FUZZCC)
SAN_asan := -fsanitize=address,undefined -fno-sanitize-recover=all
SAN_tsan := -fsanitize=thread
SAN_fuzz := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
CF_release := -O2 -g -fPIE -ffunction-sections -fdata-sections -fstack-protector-strong
CF_dev     := -O1 -g -fPIE -fno-omit-frame-pointer -DMESH_DEV
CF_asan    := $(CF_dev) $(SAN_asan)
CF_tsan    := $(CF_dev) $(SAN_tsan)
CF_fuzz    := $(CF_dev) $(SAN_fuzz)
LD_dev     := -pie
LD_asan    := -pie $(SAN_asan)
LD_tsan    := -pie $(SAN_tsan)
LD_fuzz    := -pie -fsanitize=address,undefined
# Archives in a group: mbedTLS calls back into ours (clock, entropy).
libs = -Wl,--start-group $(B)/$(1)/libmesh.a $(LIBS:%=$(VENDOR_$(LIBC_$(1)))/lib/lib%.a) -Wl,--end-group

# --- what people type --------------------------------------------------------------------------------------------

.PHONY: all dev asan tsan test golden unit fuzz fuzz-all bench demo image install deps lint clean help vendor tools FORCE
.PHONY: kube-tools kube-up kube-down test-kube
all: $(B)/mesh
dev: $(B)/dev/mesh

help:
	@sed -n 's/^#= //p' $(firstword $(MAKEFILE_LIST))
#= make               build/mesh, the release: one static stripped file; build/mesh.debug has the symbols
#= make dev           build/dev/mesh: the machine's libc, quick to build, for the debugger
#= make demo          build the release and run its demo
#= make test          unit, simulation, corpus and end-to-end tests; the last line says how many passed and failed
#= make unit T=base/arena     one unit test (also tests/sim: T=sim/NAME), or with T=base all of a folder
#= make golden         write tests/golden anew, so that the difference can be reviewed
#= make asan, tsan    the tests under AddressSanitizer + UBSan, or ThreadSanitizer, with build/asan/mesh, build/tsan/mesh
#= make test-kube     the tests on a real Kubernetes (as root; the first time builds it with Go, about ten minutes);
#=                    KUBE_SECS=400: as many as begin in that time, the most important first
#= make kube-up, kube-down     leave that Kubernetes running, with a kubeconfig in build/kube/config; end it
#= make kube-tools    only build its programs into build/tools
#= make fuzz T=h1_parse SECS=60    fuzz one parser; inputs that crash it are kept in tests/corpus
#= make fuzz-all SECS=360        fuzz every parser, the ones that changed last first
#= make bench         beside nginx, HAProxy, Envoy and the floors: ratios, build/bench/results.json; QUICK=1: 2 minutes
#= make attack        clients that mean harm against one worker, SECS=30 each: memory, the others' p99, who is cut off
#= make soak          a sidecar pair under mixed load, SECS=1800: memory of the release stays, the sanitizers stay silent
#= make lint          format, clang-tidy, cppcheck, layers, names, globals, scripts
#= make format        rewrite the sources in the one true format
#= make image         build/mesh.tar: a container image with the binary and nothing else, for docker, podman, containerd
#= make install       PREFIX=/usr/local, DESTDIR=
#= make deps          install what the targets above need and the machine lacks
#= make vendor        only fetch and build the libraries
#= make clean         remove build/ (the libraries stay in their cache)

demo: $(B)/mesh
	$(B)/mesh demo

install: $(B)/mesh
	install -D -m 755 $(B)/mesh $(DESTDIR)$(PREFIX)/bin/mesh
	ln -sf mesh $(DESTDIR)$(PREFIX)/bin/kubectl-mesh

vendor: $(B)/vendor/musl.ok $(B)/vendor/glibc.ok

clean:
	rm -rf $(B)

deps:
	@vendor/deps.sh build test lint fuzz

# --- what the machine needs: checked once, installed only if missing ---------------------------------------------

$(B)/deps/%: vendor/deps.sh
	@vendor/deps.sh $*
	@mkdir -p $(@D)
	@touch $@

# --- libraries ---------------------------------------------------------------------------------------------------

VENDOR_RECIPE := $(wildcard vendor/*.sh vendor/config/* vendor/config/*/*) vendor/pins vendor/Makefile
$(B)/vendor/%.checked: $(VENDOR_RECIPE) | $(B)/deps/build
	+@CC="$(CC)" AR="$(AR)" vendor/build.sh $* $(B)/vendor/$*
	@touch $@
# Changes only when the libraries do, not whenever a recipe was looked at.
$(B)/vendor/%.ok: $(B)/vendor/%.checked
	@readlink $(B)/vendor/$* | cmp -s - $@ || readlink $(B)/vendor/$* > $@

# --- generated code: build/gen only ------------------------------------------------------------------------------

$(B)/gen/version.h: FORCE
	@mkdir -p $(@D)
	@printf '#ifndef MESH_VERSION\n#define MESH_VERSION "%s"\n#endif\n' '$(VERSION)' > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(B)/host/pbgen: $(HOST_SRC) $(wildcard src/proto/pbgen*.h) | $(B)/deps/build
	@mkdir -p $(@D)
	@$(HOSTCC) -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra $(WERROR) -Isrc $(HOST_SRC) -o $@

# pbgen leaves files alone that would not change.
$(B)/gen/proto.ok: $(if $(PROTOS),$(B)/host/pbgen) $(PROTOS)
	@mkdir -p $(B)/gen/proto
	$(if $(PROTOS),@$(B)/host/pbgen $(B)/gen/proto $(PROTOS))
	@touch $@
$(PB_C): $(B)/gen/proto.ok ;

$(foreach d,$(EMBED),$(eval $(d:src/%=$(B)/gen/%_files.c): $(call rwildcard,$(d),*)))
$(EMBED_C): $(B)/gen/%_files.c: src/base/embed.sh
	@mkdir -p $(@D)
	src/base/embed.sh src/$* $@

GENERATED := $(B)/gen/version.h $(B)/gen/proto.ok $(EMBED_C)

# --- objects and programs of each flavour ------------------------------------------------------------------------

compile = $(or $(CC_$(1)),$(CC)) $(CF_ALL) $(CF_$(1)) $(CF_$(LIBC_$(1))) -MMD -MP
conversion = $(if $(filter src/base/% src/codec/% src/http/%,$(1)),$(WARN_CONVERSION))

define flavour
OBJ_$(1) := $(OBJ:%=$(B)/$(1)/%)
$(B)/$(1)/src/%.o: src/%.c $(B)/vendor/$(LIBC_$(1)).ok | $(GENERATED) $(if $(CC_$(1)),$(B)/deps/fuzz)
	@mkdir -p $$(@D)
	@echo "  $(1) $$<"
	@$$(call compile,$(1)) $$(call conversion,$$<) -c $$< -o $$@
$(B)/$(1)/gen/%.o: $(B)/gen/%.c $(B)/vendor/$(LIBC_$(1)).ok | $(GENERATED) $(if $(CC_$(1)),$(B)/deps/fuzz)
	@mkdir -p $$(@D)
	@echo "  $(1) $$<"
	@$$(call compile,$(1)) -c $$< -o $$@
$(B)/$(1)/tests/%.o: tests/%.c $(B)/vendor/$(LIBC_$(1)).ok | $(GENERATED)
	@mkdir -p $$(@D)
	@echo "  $(1) $$<"
	@$$(call compile,$(1)) -Itests -c $$< -o $$@
$(B)/$(1)/libmesh.a: $$(filter-out %/src/main.o,$$(OBJ_$(1)))
	@rm -f $$@
	@$(AR) rcsT $$@ $$^
$(B)/$(1)/libhelpers.a: $(HELPERS:%.c=$(B)/$(1)/%.o)
	@mkdir -p $$(@D)
	@rm -f $$@
	@$(AR) rcsT $$@ $$^
$(B)/$(1)/libsim.a: $(SIM_HELPERS:%.c=$(B)/$(1)/%.o)
	@mkdir -p $$(@D)
	@rm -f $$@
	@$(AR) rcsT $$@ $$^
-include $$(OBJ_$(1):.o=.d)
endef
$(foreach f,$(FLAVOURS),$(eval $(call flavour,$(f))))
# The compiler must not make calls of memcpy of what is memcpy.
$(B)/release/src/base/bytes.o: CF_release += -ffreestanding -fno-tree-loop-distribute-patterns
-include $(foreach f,asan tsan,$(patsubst %.c,$(B)/$(f)/%.d,$(UNIT) $(SIM) $(HELPERS) $(SIM_HELPERS)))
-include $(foreach f,asan fuzz,$(FUZZ_SRC:%.c=$(B)/$(f)/%.d))

$(foreach f,dev asan tsan,$(eval $(B)/$(f)/mesh: $(B)/$(f)/src/main.o $(B)/$(f)/libmesh.a))
$(B)/dev/mesh $(B)/asan/mesh $(B)/tsan/mesh: $(B)/%/mesh:
	@echo "  link $@"
	@$(CC) $(LD_$*) -pthread $< $(call libs,$*) -lm -o $@

# The release is linked by hand against our own libc: start files, objects, archives, start files.
start = $(shell $(CC) -print-file-name=$(1))
$(B)/mesh.debug: $(B)/release/src/main.o $(B)/release/libmesh.a
	@echo "  link $@"
	@$(CC) -static-pie -nostdlib -nostartfiles -Wl,--gc-sections -Wl,-z,pack-relative-relocs -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--build-id \
	  $(VENDOR_musl)/lib/rcrt1.o $(VENDOR_musl)/lib/crti.o $(call start,crtbeginS.o) $(VENDOR_musl)/lib/mimalloc.o \
	  $< $(call libs,release) -Wl,--start-group $(VENDOR_musl)/lib/libc.a -lgcc -lgcc_eh -Wl,--end-group \
	  $(call start,crtendS.o) $(VENDOR_musl)/lib/crtn.o -o $@
$(B)/mesh: $(B)/mesh.debug
	@strip -o $@ $<

# --- tests -------------------------------------------------------------------------------------------------------

# A unit test includes the .c file under test, so the archive's object of it stays out.
define tests
$(B)/$(1)/tests/sim/%_test: $(B)/$(1)/tests/sim/%_test.o $(B)/$(1)/libsim.a $(B)/$(1)/libhelpers.a $(B)/$(1)/libmesh.a
	@echo "  link $$@"
	@$(CC) $$(LD_$(1)) -pthread $$< $(B)/$(1)/libsim.a $(B)/$(1)/libhelpers.a $$(call libs,$(1)) \
	  $(VENDOR_glibc)/lib/libcmocka.a -lm -o $$@
$(B)/$(1)/tests/%_test: $(B)/$(1)/tests/%_test.o $(B)/$(1)/libhelpers.a $(B)/$(1)/libmesh.a
	@echo "  link $$@"
	@$(CC) $$(LD_$(1)) -pthread $$< $(B)/$(1)/libhelpers.a $$(call libs,$(1)) $(VENDOR_glibc)/lib/libcmocka.a -lm -o $$@
endef
$(foreach f,asan tsan,$(eval $(call tests,$(f))))
programs = $(patsubst %.c,$(B)/$(1)/%,$(2))

# The one fuzz target that plays a simulation.
SIM_FUZZ := proxy/proxy_worker_fuzz
define sim_fuzz
$(B)/$(1)/src/$(SIM_FUZZ).o: CF_ALL += -Itests
$(B)/$(2)/$(SIM_FUZZ): $(B)/$(1)/libsim.a $(B)/$(1)/libhelpers.a
endef
$(eval $(call sim_fuzz,asan,asan/replay))
$(eval $(call sim_fuzz,fuzz,fuzz/run))

# Corpus replay: a fuzz target with a main that feeds it files. T_fuzz.c of src/A replays tests/corpus/A/T/.
REPLAY := $(FUZZ_SRC:src/%.c=$(B)/asan/replay/%)
$(B)/asan/replay/%: $(B)/asan/src/%.o $(B)/asan/tests/replay.o $(B)/asan/libmesh.a
	@mkdir -p $(@D)
	@echo "  link $@"
	@$(CC) $(LD_asan) -pthread $(filter %.o %/libsim.a %/libhelpers.a,$^) $(call libs,asan) -lm -o $@
FUZZERS := $(FUZZ_SRC:src/%.c=$(B)/fuzz/run/%)
$(B)/fuzz/run/%: $(B)/fuzz/src/%.o $(B)/fuzz/libmesh.a
	@mkdir -p $(@D)
	@echo "  link $@"
	@$(FUZZCC) $(LD_fuzz) -fsanitize=fuzzer -pthread $(filter %.o %/libsim.a %/libhelpers.a,$^) $(call libs,fuzz) -lm -o $@

VENV := $(B)/venv
$(VENV)/.ok: tests/requirements.txt | $(B)/deps/test
	@rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q --disable-pip-version-check -r tests/requirements.txt
	@touch $@

test: $(B)/mesh $(VENV)/.ok $(call programs,asan,$(UNIT) $(SIM)) $(REPLAY) $(B)/bench/swarm
	@$(VENV)/bin/python tests/run --build $(B)/asan unit sim corpus e2e peer
asan: $(B)/asan/mesh $(VENV)/.ok $(call programs,asan,$(UNIT) $(SIM))
	@MESH_BIN=$(CURDIR)/$(B)/asan/mesh $(VENV)/bin/python tests/run --build $(B)/asan unit sim e2e
TSAN_UNIT := $(filter tests/unit/io/% tests/unit/store/store_test.c tests/unit/proxy/config/% tests/unit/control/world/world_build_test.c tests/unit/control/push/push_test.c tests/unit/tls/io_tls_crowd_test.c,$(UNIT))
tsan: $(B)/tsan/mesh $(VENV)/.ok $(call programs,tsan,$(TSAN_UNIT) $(SIM))
	@MESH_BIN=$(CURDIR)/$(B)/tsan/mesh $(VENV)/bin/python tests/run --build $(B)/tsan unit/io tests/unit/store/store_test.c unit/proxy/config tests/unit/control/world/world_build_test.c tests/unit/control/push/push_test.c tests/unit/tls/io_tls_crowd_test.c sim

GOLDEN := $(B)/asan/tests/unit/control/translate/translate_test $(B)/asan/tests/unit/inject/inject_test
golden: $(GOLDEN)
	@for t in $^; do MESH_GOLDEN=1 $$t || exit 1; done

# Tools of tests/peer that are Go modules; tests build them when they need them, and do without where there is no Go.
TOOLS := $(B)/tools/h2spec
$(B)/tools/h2spec: tests/peer/go.mod tests/peer/go.sum
	@mkdir -p $(@D)
	cd tests/peer && GOFLAGS=-mod=readonly GOTOOLCHAIN=local go build -trimpath -ldflags='-s -w' -o $(CURDIR)/$@ \
	  github.com/summerwind/h2spec/cmd/h2spec
tools: $(TOOLS)

# A Kubernetes of its own network namespace (tests/kube/cluster.py) and the tests on it.
kube-tools:
	@tests/kube/tools.sh
# NUMBER=1: another one beside the first, with addresses of its own, in build/kube-1.
kube-up: kube-tools $(B)/mesh $(VENV)/.ok | $(B)/deps/kube
	@$(VENV)/bin/python tests/kube/lab.py up --number $(or $(NUMBER),0)
kube-down: $(VENV)/.ok
	@$(VENV)/bin/python tests/kube/lab.py down --number $(or $(NUMBER),0)
test-kube: $(if $(filter-out 0,$(shell id -u)),not-root)
test-kube: kube-tools $(B)/mesh $(VENV)/.ok | $(B)/deps/kube
	@$(if $(KUBE_SECS),KUBE_SECS=$(KUBE_SECS)) $(VENV)/bin/python tests/run kube
.PHONY: not-root
not-root:
	@echo 'test-kube: a cluster of network namespaces needs root: sudo make test-kube' >&2; false

# T=base/arena, T=base, T=sim/retry
T ?=
UNIT_T := $(strip $(foreach t,$(UNIT) $(SIM),$(if $(filter $(T)_test.c $(T)/%,$(t:tests/unit/%=%) $(t:tests/%=%)),$(t))))
unit: $(if $(filter unit,$(MAKECMDGOALS)),$(if $(T),$(call programs,asan,$(UNIT_T)),$(call programs,asan,$(UNIT)))) | $(B)/deps/test
	$(if $(and $(T),$(if $(UNIT_T),,none)),$(error no test matches T=$(T); tests are tests/unit/T_test.c and tests/T_test.c))
	@$(PYTHON) tests/run --build $(B)/asan $(if $(T),$(UNIT_T),unit)

FUZZ_T := $(if $(T),$(filter %/$(T)_fuzz.c,$(FUZZ_SRC)))
fuzz: $(FUZZ_T:src/%.c=$(B)/fuzz/run/%) | $(B)/deps/fuzz
	$(if $(FUZZ_T),,$(error name a target: make fuzz T=NAME, one of: $(patsubst %_fuzz.c,%,$(notdir $(FUZZ_SRC)))))
	@tests/fuzz $(FUZZ_T:src/%_fuzz.c=%) $(SECS)

# The floors and the loads of the benchmark: on system calls alone (and nghttp2), whatever the flavours do.
BENCH := $(patsubst %,$(B)/bench/%,relay responder load h2_load h2_service)
$(BENCH): $(B)/bench/%: tests/bench/floor/%.c $(patsubst %,tests/bench/floor/%,floor.c floor.h measure.c measure.h) $(B)/vendor/glibc.ok
	@mkdir -p $(@D)
	@echo "  bench $<"
	@$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g $(WARN) $(CF_glibc) $(filter %.c,$^) $(if $(findstring h2_,$@),$(VENDOR_glibc)/lib/libnghttp2.a) -o $@
fuzzers: $(FUZZERS) | $(B)/deps/fuzz
fuzz-all: $(FUZZERS) | $(B)/deps/fuzz $(B)/deps/test
	@tests/fuzz --all $(SECS)

# The floor of a sidecar runs the library that the product has.
$(B)/bench/tls_relay: tests/bench/floor/tls_relay.c tests/bench/floor/floor.c tests/bench/floor/floor.h $(B)/vendor/glibc.ok
	@mkdir -p $(@D)
	@echo "  bench $<"
	@$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g $(WARN) $(CF_glibc) -pthread $(filter %.c,$^) $(VENDOR_glibc)/lib/libmbedtls.a -o $@
# Many proxies in one process, over our own library; what is measured is the other side.
$(B)/bench/swarm: tests/bench/swarm/swarm.c $(B)/asan/libmesh.a | $(B)/deps/build
	@mkdir -p $(@D)
	@echo "  bench $<"
	@$(CC) $(CF_ALL) $(CF_glibc) $(CF_asan) $< -o $@ $(LD_asan) $(call libs,asan) -lm

bench: $(B)/mesh $(BENCH) $(B)/bench/tls_relay $(B)/bench/swarm $(VENV)/.ok | $(B)/deps/bench
	@bad=0; $(VENV)/bin/python tests/bench/bench.py || bad=1; \
	  $(VENV)/bin/python tests/bench/control_scale.py || bad=1; \
	  $(VENV)/bin/python tests/bench/instructions.py || bad=1; exit $$bad

.PHONY: attack
attack: $(B)/mesh $(VENV)/.ok
	@ATTACK_SECS=$(or $(SECS),30) $(VENV)/bin/python -m pytest -q -p no:cacheprovider -c tests/pytest.ini -s --timeout=600 \
	  tests/e2e/attacks

# Both at once: two processors are enough for them.
.PHONY: soak
soak: $(B)/mesh $(B)/asan/mesh $(VENV)/.ok
	@MESH_BIN=$(CURDIR)/$(B)/asan/mesh $(VENV)/bin/python tests/bench/soak.py --secs $(or $(SECS),1800) --out $(B)/soak/asan > $(B)/soak-asan.log 2>&1 & \
	  asan=$$!; bad=0; $(VENV)/bin/python tests/bench/soak.py --secs $(or $(SECS),1800) --out $(B)/soak || bad=1; \
	  wait $$asan || bad=1; tail -n 5 $(B)/soak-asan.log; exit $$bad

# --- lint --------------------------------------------------------------------------------------------------------

# clang-tidy is slow, so each file has a stamp that is as fresh as its dev object (which follows its headers).
OURS := $(filter %.c %.h,$(call rwildcard,src,*.c) $(call rwildcard,src,*.h) $(call rwildcard,tests,*.c) \
          $(call rwildcard,tests,*.h))
TIDY := $(SRC:%.c=$(B)/lint/%.tidy)
$(TIDY): $(B)/lint/%.tidy: %.c $(B)/dev/%.o .clang-tidy | $(B)/deps/lint
	@mkdir -p $(@D)
	@echo "  tidy $<"
	@clang-tidy --quiet $< -- $(CF_ALL) -Wno-error $(CF_dev) $(CF_glibc) > $@.out 2>&1 || { cat $@.out; exit 1; }
	@touch $@
$(B)/lint/%.format: % .clang-format tests/requirements.txt | $(VENV)/.ok
	@mkdir -p $(@D)
	@$(VENV)/bin/clang-format --dry-run -Werror $< 2> $@.out || { \
	  echo "$<: not formatted; make format"; head -n 1 $@.out; exit 1; }
	@touch $@

.PHONY: format
format: | $(VENV)/.ok
	@$(VENV)/bin/clang-format -i $(OURS)

.PHONY: lint-files
lint-files: $(OURS:%=$(B)/lint/%.format) $(TIDY)
lint: $(B)/dev/libmesh.a $(B)/deps/lint
	@bad=0; $(MAKE) -k lint-files || bad=1; tests/lint/run || bad=1; exit $$bad

image: $(B)/mesh
	@$(B)/mesh image -o $(B)/mesh.tar --name mesh:$(VERSION)
