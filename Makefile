# Two commands do everything: `make demo` and `make check`. Both install what is missing first.

CC       ?= gcc
BUILD    ?= build
WARN     := -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror
OPT      ?= -O3
SAN      ?=
CFLAGS   ?= -std=gnu11 $(OPT) -g $(WARN) $(SAN)
CPPFLAGS += -I. -Itests
LDFLAGS  += $(SAN) -Wl,--as-needed
OPENMP   := -fopenmp
MODELLIBS = $(shell [ -e /usr/include/dnnl.h ] && echo -ldnnl || echo -lopenblas) -lz
LIBS      = $(MODELLIBS) -lsodium -lm

# Transports are built in where their libraries are installed.
MPICFLAGS := $(shell pkg-config --cflags ompi-c 2>/dev/null | sed 's/-I/-isystem /g')
MPILIBS   := $(shell pkg-config --libs ompi-c 2>/dev/null)
GRPCLIBS  := $(shell [ -e /usr/include/grpc/grpc.h ] && echo -lgrpc -lgpr -lpthread)
ifneq ($(MPILIBS),)
MPIFLAGS  := $(MPICFLAGS) -DDRACO_WITH_MPI
endif
ifneq ($(GRPCLIBS),)
GRPCFLAGS := -DDRACO_WITH_GRPC
endif

HEADERS := $(wildcard *.h transports/*.h models/*.h baselines/*.h examples/draco-train/*.h tests/support/*.h tests/fuzz/*.h tests/golden/*.h)
EXAMPLES := $(patsubst examples/%.c,$(BUILD)/%,$(wildcard examples/*.c)) $(BUILD)/draco_plot
TESTS    := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/test_*.c))
HELPERS  := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/peer_*.c))
FUZZERS  := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCHES  := $(patsubst bench/%.c,$(BUILD)/bench/%,$(wildcard bench/bench_*.c))
SCRIPTS  := $(wildcard tests/test_*.sh)

# A program whose name says mpi or grpc is built only where that library is.
ifeq ($(MPILIBS),)
DROP += $(foreach p,$(EXAMPLES) $(TESTS) $(HELPERS) $(FUZZERS) $(BENCHES),$(if $(findstring mpi,$(notdir $(p))),$(p)))
endif
ifeq ($(GRPCLIBS),)
DROP += $(foreach p,$(EXAMPLES) $(TESTS) $(HELPERS) $(FUZZERS) $(BENCHES),$(if $(findstring grpc,$(notdir $(p))),$(p)))
endif
KEEP = $(filter-out $(DROP),$(1))

.PHONY: all demo check programs test bench fuzz paper play clean setup-demo setup-paper setup-check

all: $(BUILD)/draco-train $(call KEEP,$(EXAMPLES))

$(BUILD)/draco-train: examples/draco-train/draco_train.c $(HEADERS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(MPIFLAGS) $(GRPCFLAGS) $(CFLAGS) $(OPENMP) $< -o $@ $(LDFLAGS) $(LIBS) $(MPILIBS) $(GRPCLIBS)

$(BUILD)/draco_plot: examples/draco-train/draco_plot.c $(HEADERS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $< -o $@ $(LDFLAGS) -lm

# A source file asks for a library by its name: *mpi* and *grpc* get theirs.
extra_flags = $(if $(findstring mpi,$(1)),$(MPIFLAGS)) $(if $(findstring grpc,$(1)),$(GRPCFLAGS))
extra_libs  = $(if $(findstring mpi,$(1)),$(MPILIBS)) $(if $(findstring grpc,$(1)),$(GRPCLIBS))

$(BUILD)/%: examples/%.c $(HEADERS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(call extra_flags,$*) $(CFLAGS) $(OPENMP) $< -o $@ $(LDFLAGS) $(LIBS) $(call extra_libs,$*)

$(BUILD)/tests/%: tests/%.c $(HEADERS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(call extra_flags,$*) $(CFLAGS) $(OPENMP) $< -o $@ $(LDFLAGS) -lcmocka $(LIBS) $(call extra_libs,$*)

$(BUILD)/bench/%: bench/%.c $(HEADERS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(call extra_flags,$*) $(CFLAGS) $(OPENMP) $< -o $@ $(LDFLAGS) $(LIBS) $(call extra_libs,$*)

# Each fuzz target replays seeded random inputs under the sanitizers; with clang's libFuzzer: make fuzz.
$(BUILD)/tests/fuzz_%: tests/fuzz/fuzz_%.c $(HEADERS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(call extra_flags,fuzz_$*) $(CFLAGS) -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -DDRACO_FUZZ_MAIN $(OPENMP) $< -o $@ $(LDFLAGS) $(LIBS) $(call extra_libs,fuzz_$*)

$(BUILD)/libfuzzer/fuzz_%: tests/fuzz/fuzz_%.c $(HEADERS)
	@mkdir -p $(@D)
	clang $(CPPFLAGS) $(call extra_flags,fuzz_$*) -std=gnu11 -O1 -g -fsanitize=fuzzer,address,undefined $(OPENMP) $< -o $@ $(LIBS) $(call extra_libs,fuzz_$*)

setup-demo:
	@sh scripts/setup.sh demo

setup-paper:
	@sh scripts/setup.sh paper

setup-check:
	@sh scripts/setup.sh check

# The libraries a recipe needs may be installed by the setup just before: hence the second make.
check: setup-check
	@$(MAKE) --no-print-directory -j$$(nproc) programs
	@$(MAKE) --no-print-directory test

programs: all $(call KEEP,$(TESTS) $(HELPERS) $(FUZZERS) $(BENCHES))

test: programs
	@sh tests/support/run.sh $(BUILD) $(call KEEP,$(TESTS) $(FUZZERS)) $(SCRIPTS)

bench: $(call KEEP,$(BENCHES))
	@for b in $(call KEEP,$(BENCHES)); do echo "== $$b"; $$b || exit 1; done

# The paper's comparison, into docs/results.md: some twelve minutes; PAPER=--full: an hour and a quarter.
paper: setup-paper
	@$(MAKE) --no-print-directory $(BUILD)/draco-train $(BUILD)/draco_plot $(BUILD)/bench/bench_rules
	@python3 bench/paper/paper.py --build $(BUILD) $(PAPER)

demo: setup-demo
	@$(MAKE) --no-print-directory $(BUILD)/draco-train $(BUILD)/draco_plot
	@sh examples/draco-train/demo.sh $(BUILD)

fuzz: $(patsubst $(BUILD)/tests/%,$(BUILD)/libfuzzer/%,$(call KEEP,$(FUZZERS)))
	@for f in $^; do echo "== $$f"; $$f -max_total_time=$${FUZZ_SECONDS:-30} -max_len=65536 || exit 1; done

# The teaching page: the headers as WebAssembly, inside one file.
PLAY := -I. -DDRACO_STATIC -DDRACO_RULES_STATIC -DDRACO_ATTACKS_STATIC

play: $(BUILD)/play.html
	@echo "open $(BUILD)/play.html in a browser"

$(BUILD)/play.wasm: docs/play/play.c $(HEADERS)
	@mkdir -p $(@D)
	clang --target=wasm32-wasi -mexec-model=reactor -Oz -flto $(PLAY) -Wl,--strip-all $< -o $@

$(BUILD)/play.html: $(BUILD)/play.wasm $(wildcard docs/play/*)
	python3 docs/play/pack.py $< $@

$(BUILD)/play_program: docs/play/play.c $(HEADERS)
	@mkdir -p $(@D)
	$(CC) $(PLAY) $(CFLAGS) -DPLAY_PROGRAM $< -o $@ $(LDFLAGS) -lm

clean:
	rm -rf $(BUILD)
