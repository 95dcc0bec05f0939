# `make` builds draco-train and the examples with what is installed. `make demo` and `make check` install what is missing
# first, `make deps` installs it for all programs.

BUILD    ?= build
OPT      ?= -O3
WARN     ?= -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow
SAN      ?=
DEBUG    ?= -g
CFLAGS   ?= -std=gnu11 $(OPT) $(DEBUG) $(WARN) $(WERROR) $(SAN)
CPPFLAGS += -I. -Itests
LDFLAGS  += $(SAN) -Wl,--as-needed

# ---- Libraries: the header that tells that one is installed, compiler flags, what to link with ----
# WITHOUT="mpi grpc" leaves libraries out although they are installed; give such a build a BUILD of its own.

LIBRARIES      := openmp:omp.h onednn:dnnl.h blas:cblas.h zlib:zlib.h mpi:mpi.h grpc:grpc/grpc.h microhttpd:microhttpd.h cmocka:cmocka.h

FLAGS_openmp   := -fopenmp
LINK_openmp    := -fopenmp
FLAGS_onednn   := -DDRACO_WITH_ONEDNN
LINK_onednn    := -ldnnl
FLAGS_blas     := -DDRACO_WITH_BLAS
LINK_blas      := -lblas
LINK_zlib      := -lz
FLAGS_mpi      := $(shell pkg-config --cflags ompi-c 2>/dev/null | sed 's/-I/-isystem /g') -DDRACO_WITH_MPI
LINK_mpi       := $(shell pkg-config --libs ompi-c 2>/dev/null)
FLAGS_grpc     := -DDRACO_WITH_GRPC
LINK_grpc      := -lgrpc -lgpr -lpthread
FLAGS_microhttpd := -DDRACO_WITH_MICROHTTPD -I$(BUILD)/include
LINK_microhttpd := -lmicrohttpd -lpthread
LINK_cmocka    := -lcmocka

HAVE := $(filter-out $(WITHOUT),$(shell printf '%s\n' $(LIBRARIES) | \
            awk -F: '{ printf "\043if __has_include(<%s>)\n%s\n\043endif\n", $$2, $$1 }' | \
            $(CC) $(CPPFLAGS) $(FLAGS_mpi) -x c -E -P - 2>/dev/null))

# ---- What a program needs beyond libc and libm ----
# NEEDS_x: the program is built where x is; MAY_x: it is built without x, too. Names or patterns of programs.

USE_MODELS    := bench_spot draco-train draco-audit test_isa test_kmeans test_layers test_lenet test_linear test_mlp test_real_data test_resnet \
                 test_textcnn test_training test_grpc_python bench_linear bench_models bench_products bench_round
NEEDS_zlib    := $(USE_MODELS) peer_train peer_relay test_data test_checkpoint fuzz_checkpoint fuzz_data_% fuzz_word2vec
NEEDS_openmp  := $(USE_MODELS) peer_train 06_train_openmp test_openmp peer_mpi_% test_attacks test_grpc_conformance test_grpc_relayed test_rules test_optim test_vote_fingerprint \
                 test_vote_portable fuzz_rules bench_challenge bench_codes bench_rules bench_vote
NEEDS_mpi     := 05_mpi_gather peer_mpi_% fuzz_mpi_wire bench_mpi
NEEDS_grpc    := 07_train_grpc peer_grpc peer_relay test_grpc% fuzz_grpc_frame fuzz_grpc_relay fuzz_refused bench_grpc
NEEDS_cmocka  := test_%
MAY_mpi       := draco-train peer_train
MAY_grpc      := draco-train peer_train
MAY_microhttpd := draco-train
MAY_onednn    := bench_rules bench_products
MAY_blas      := bench_products

NAMES = $(foreach l,$(LIBRARIES),$(firstword $(subst :, ,$(l))))
needs = $(foreach l,$(NAMES),$(if $(filter $(NEEDS_$(l)),$(1)),$(l)))
uses  = $(call needs,$(1)) $(foreach l,$(HAVE),$(if $(filter $(MAY_$(l)),$(1)),$(l)))
lacks = $(filter-out $(HAVE),$(call needs,$(notdir $(1))))
$(if $(filter-out $(NAMES),$(WITHOUT)),$(error WITHOUT takes some of: $(NAMES)))

# ---- Programs ----
# One whose transport is not installed is left out; one that lacks another library says so.

list     = $(patsubst $(1)/%.c,$(BUILD)/$(2)%,$(wildcard $(1)/$(3)*.c))
KEEP     = $(foreach p,$(1),$(if $(filter mpi grpc,$(call lacks,$(p))),,$(p)))
EXAMPLES := $(call KEEP,$(call list,examples)) $(BUILD)/draco_plot $(BUILD)/draco-audit
TESTS    := $(call KEEP,$(call list,tests,tests/,test_))
PEERS    := $(call KEEP,$(call list,tests,tests/,peer_))
FUZZERS  := $(call KEEP,$(call list,tests/fuzz,tests/,fuzz_))
BENCHES  := $(call KEEP,$(call list,bench,bench/,bench_))
SCRIPTS  := $(wildcard tests/test_*.sh)

.PHONY: all programs benches demo check check-fresh test bench paper fuzz play deps check-all format check-format debug coverage analyze clean FORCE

all: $(EXAMPLES) $(BUILD)/draco-train

programs: all $(TESTS) $(PEERS) $(FUZZERS) $(BUILD)/bench/bench_rules

benches: $(BENCHES)

# The dependencies lie beside each program; all are built again when the libraries or the flags change.
define compile
@mkdir -p $(@D)
$(if $(call lacks,$@),@echo "$(@F) needs $(call lacks,$@): install it by hand or with 'make deps'" >&2; exit 1)
$(CC) $(CPPFLAGS) $(foreach l,$(call uses,$(@F)),$(FLAGS_$(l))) $(CFLAGS) $(1) -MMD -MP -MF $@.d -MT $@ $< -o $@ \
    $(LDFLAGS) $(foreach l,$(call uses,$(@F)),$(LINK_$(l))) -lm
endef

SETTINGS = $(CC) $(HAVE) $(CPPFLAGS) $(filter-out -Werror -g,$(CFLAGS)) $(LDFLAGS)
$(BUILD)/settings: FORCE
	@mkdir -p $(@D)
	@echo '$(SETTINGS)' | cmp -s - $@ || echo '$(SETTINGS)' >$@

-include $(wildcard $(BUILD)/*.d $(BUILD)/tests/*.d $(BUILD)/bench/*.d)

$(BUILD)/draco-train: examples/draco-train/draco_train.c $(BUILD)/settings
	$(compile)

# The live page, as bytes in the program.
$(BUILD)/draco-train: $(BUILD)/include/train_live_page.h
$(BUILD)/include/train_live_page.h: examples/draco-train/train_live.html
	@mkdir -p $(@D)
	{ echo 'static const unsigned char train_live_page[] = {'; od -An -v -tu1 $< | sed 's/[0-9]\{1,\}/&,/g'; echo '0};'; } >$@

$(BUILD)/draco_plot: examples/draco-train/draco_plot.c $(BUILD)/settings
	$(compile)

# Its bits are those of -O3, in two thirds of the time to compile it.
$(BUILD)/draco-audit: OPT := -O2
$(BUILD)/draco-audit: examples/draco-train/draco_audit.c $(BUILD)/settings
	$(compile)

$(BUILD)/tests/fuzz_%: tests/fuzz/fuzz_%.c $(BUILD)/settings
	$(call compile,-O1 -fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all -DDRACO_FUZZ_MAIN)

# -O1 takes a third of the time to compile them; draco-train, examples and benches stand for -O3.
$(TESTS) $(PEERS) $(BUILD)/play_program: OPT := -O1
$(BUILD)/tests/%: tests/%.c $(BUILD)/settings
	$(compile)

$(BUILD)/bench/%: bench/%.c $(BUILD)/settings
	$(compile)

$(BUILD)/%: examples/%.c $(BUILD)/settings
	$(compile)

$(BUILD)/play_program: docs/play/play.c $(BUILD)/settings
	$(call compile,$(PLAY) -DPLAY_PROGRAM)

# Each fuzz target above replays seeded random inputs; here it is one of clang's libFuzzer.
$(BUILD)/libfuzzer/fuzz_%: CC := clang
$(BUILD)/libfuzzer/fuzz_%: CFLAGS := -std=gnu11 -O1 -g -fsanitize=fuzzer,address,undefined
$(BUILD)/libfuzzer/fuzz_%: tests/fuzz/fuzz_%.c $(BUILD)/settings
	$(compile)

# ---- What is done with them ----
# A package that was just installed is seen by the second make only.

deps demo paper: %: setup-%
check: setup-$(if $(SHORT),short,check)
check-fresh: setup-fresh

setup-%:
	@sh scripts/setup.sh $*

demo:
	@$(MAKE) --no-print-directory $(BUILD)/draco-train $(BUILD)/draco_plot
	@sh examples/draco-train/demo.sh $(BUILD)

# Without debugging information it compiles in four fifths of the time.
check:
	@$(MAKE) --no-print-directory -j$$(nproc) WERROR=-Werror DEBUG= programs
	@$(MAKE) --no-print-directory -j$$(nproc) WERROR=-Werror DEBUG= OPT=-O0 BUILD=$(BUILD)/benches benches
	@$(MAKE) --no-print-directory WERROR=-Werror DEBUG= test

# SHORT=1: all is built, but only these are run.
SHORT_TESTS := test_vote test_codes test_codes_limits test_round test_layer test_mlp test_optim test_rules test_attacks \
               test_checkpoint test_training test_grpc_conformance test_mpi_conformance.sh test_codes_examples.sh \
               test_mpi_example.sh test_docs.sh test_builds.sh fuzz_codes
RUN         := $(SCRIPTS) $(TESTS) $(FUZZERS) # the longest first

test: programs
	@CC='$(CC)' sh tests/support/run.sh $(BUILD) $(if $(SHORT),$(filter $(addprefix %/,$(SHORT_TESTS)),$(RUN)),$(RUN))

# The two commands of the README on an empty Debian 12, into $(BUILD)/fresh.log; needs root. FRESH=short: the short check.
check-fresh:
	@sh scripts/check_fresh.sh $(BUILD) $(FRESH)

# Everything, however long it takes.
check-all:
	@DRACO_STRESS=full DRACO_TEST_SECONDS=7200 DRACO_FUZZ_SECONDS=60 DRACO_FLOOD=10000 $(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory fuzz
	@$(MAKE) --no-print-directory check-fresh

bench: $(BENCHES)
	@for b in $(BENCHES); do echo "== $$b"; $$b || exit 1; done

# The paper's comparison, into docs/results.md: some twelve minutes; PAPER=--full: an hour and a quarter.
paper:
	@$(MAKE) --no-print-directory $(BUILD)/draco-train $(BUILD)/draco_plot $(BUILD)/bench/bench_rules
	@python3 bench/paper/paper.py --build $(BUILD) $(PAPER)

fuzz: $(patsubst $(BUILD)/tests/%,$(BUILD)/libfuzzer/%,$(FUZZERS))
	@for f in $^; do echo "== $$f"; $$f -max_total_time=$${FUZZ_SECONDS:-30} -max_len=65536 || exit 1; done

# The teaching page: the headers as WebAssembly, inside one file.
PLAY := -DDRACO_STATIC -DDRACO_RULES_STATIC -DDRACO_ATTACKS_STATIC

play: $(BUILD)/play.html
	@echo "open $(BUILD)/play.html in a browser"

$(BUILD)/play.wasm: docs/play/play.c $(BUILD)/settings
	clang --target=wasm32-wasi -mexec-model=reactor -Oz -flto -I. $(PLAY) -Wl,--strip-all -MMD -MP -MF $@.d -MT $@ $< -o $@

$(BUILD)/play.html: $(BUILD)/play.wasm $(wildcard docs/play/*)
	python3 docs/play/pack.py $< $@

# ---- For who works on Draco ----

SOURCES := $(filter-out tests/golden/% build/% $(BUILD)/%,$(wildcard *.h */*.[ch] */*/*.[ch]))

format:
	@clang-format -i $(SOURCES)

check-format:
	@clang-format --dry-run -Werror $(SOURCES)

# All programs with the address and undefined behaviour sanitizers, into $(BUILD)/debug.
debug:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/debug OPT=-O1 SAN='-fsanitize=address,undefined -fno-omit-frame-pointer' programs

# Which lines of the headers the tests run, into $(BUILD)/coverage/index.html.
coverage: setup-coverage
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/coverage OPT=-O1 SAN='--coverage -fprofile-update=atomic' programs
	-@$(MAKE) --no-print-directory BUILD=$(BUILD)/coverage OPT=-O1 SAN='--coverage -fprofile-update=atomic' test
	gcovr --root . --filter '[^/]*\.h' --filter '(transports|models|baselines)/.*' --html-details $(BUILD)/coverage/index.html \
	    --print-summary --gcov-ignore-parse-errors $(BUILD)/coverage

# What stands in programs that use each header once.
ANALYZED := examples/01_vote.c examples/02_encode_decode.c tests/test_round.c tests/test_training.c tests/test_checkpoint.c \
            tests/peer_grpc.c tests/peer_mpi_faults.c examples/draco-train/draco_train.c

analyze: setup-analyze compile_commands.json $(BUILD)/include/train_live_page.h
	clang-tidy --quiet -p . $(ANALYZED)
	cppcheck --quiet --std=c11 --enable=warning,portability --suppressions-list=scripts/cppcheck.txt -I. \
	    --max-configs=2 $(ANALYZED)

compile_commands.json: FORCE
	@$(MAKE) -nB --no-print-directory programs | sh scripts/compile_commands.sh >$@

# ---- Installing ----

include scripts/install.mk

clean:
	rm -rf $(BUILD)
