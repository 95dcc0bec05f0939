# Install, uninstall, dist. The name draco is taken on many systems (a mesh compressor), so what is installed is called
# draco-codes. Programs whose libraries are not installed are left out.
#
#     make install [PREFIX=/usr/local] [DESTDIR=]      make uninstall, with the same      make dist

PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
VERSION := $(shell sed -n '1s/.* version \([0-9.]*\) .*/\1/p' draco.h)
NAME    := draco-codes

INCLUDES := $(wildcard *.h transports/*.h transports/*.proto models/*.h baselines/*.h)
PAGES    := $(BUILD)/man/draco.h.3 $(BUILD)/man/draco_codes.h.3 $(BUILD)/man/draco_vote.h.3
LIBFILES := $(BUILD)/lib$(NAME).so.0 $(BUILD)/lib$(NAME).a
PCFILES  := $(NAME) $(NAME)-openmp $(NAME)-mpi $(NAME)-grpc
ifeq ($(call lacks,draco-train),)
PROGRAMS := $(BUILD)/draco-train $(BUILD)/draco-audit
PAGES    += $(BUILD)/man/draco-train.1
endif

.PHONY: lib man install uninstall dist

# The three headers compiled once, for other languages: only what is declared DRACO_API and its kin is seen.
EXPORT = extern __attribute__((visibility("default")))
lib: $(LIBFILES)

$(BUILD)/lib$(NAME).o: draco.h $(BUILD)/settings
	$(CC) -I. $(CFLAGS) -fPIC -fvisibility=hidden -DDRACO_IMPLEMENTATION $(foreach m,DRACO DRACO_CODES DRACO_VOTE,'-D$(m)_API=$(EXPORT)') \
	    -MMD -MP -MF $@.d -MT $@ -x c -c $< -o $@

$(BUILD)/lib$(NAME).so.0: $(BUILD)/lib$(NAME).o
	$(CC) -shared -Wl,-soname,$(@F) $< -o $@ $(LDFLAGS) -lm

$(BUILD)/lib$(NAME).a: $(BUILD)/lib$(NAME).o
	rm -f $@ && $(AR) rcs $@ $<

# The manual of a header is its opening comment, that of draco-train what --help prints.
man: $(PAGES)

$(BUILD)/man/%.h.3: %.h scripts/man.sh
	@mkdir -p $(@D)
	sh scripts/man.sh header $< $(VERSION) >$@

$(BUILD)/man/draco-train.1: $(BUILD)/draco-train scripts/man.sh
	@mkdir -p $(@D)
	sh scripts/man.sh program $< $(VERSION) >$@

INTO = $(DESTDIR)$(PREFIX)
LIB  = $(DESTDIR)$(LIBDIR)

install: $(LIBFILES) $(PAGES) $(PROGRAMS) $(BUILD)/draco_plot
	install -d $(INTO)/bin $(LIB)/pkgconfig $(LIB)/cmake/$(NAME) $(INTO)/share/man/man1 $(INTO)/share/man/man3
	for f in $(INCLUDES); do install -D -m 644 $$f $(INTO)/include/$(NAME)/$$f || exit 1; done
	for f in $(PAGES); do install -m 644 $$f $(INTO)/share/man/man$${f##*.} || exit 1; done
	for f in $(PCFILES); do sh scripts/package.sh $$f $(PREFIX) $(LIBDIR) $(VERSION) >$(LIB)/pkgconfig/$$f.pc || exit 1; done
	for f in config config-version; do sh scripts/package.sh $$f $(PREFIX) $(LIBDIR) $(VERSION) >$(LIB)/cmake/$(NAME)/$(NAME)-$$f.cmake || exit 1; done
	install -m 755 $(BUILD)/draco_plot $(INTO)/bin/draco-plot
	$(if $(PROGRAMS),install -m 755 $(PROGRAMS) $(INTO)/bin)
	install -m 644 $(LIBFILES) $(LIB)
	ln -sf lib$(NAME).so.0 $(LIB)/lib$(NAME).so
	install -D -m 644 LICENSE $(INTO)/share/doc/$(NAME)/copyright

uninstall:
	rm -rf $(INTO)/include/$(NAME) $(LIB)/cmake/$(NAME) $(INTO)/share/doc/$(NAME)
	rm -f $(PCFILES:%=$(LIB)/pkgconfig/%.pc) $(LIB)/lib$(NAME).so $(LIBFILES:$(BUILD)/%=$(LIB)/%)
	rm -f $(INTO)/bin/draco-train $(INTO)/bin/draco-plot $(INTO)/bin/draco-audit
	for f in $(notdir $(PAGES)) draco-train.1; do rm -f $(INTO)/share/man/man$${f##*.}/$$f; done

dist:
	@mkdir -p $(BUILD)
	git archive --prefix=$(NAME)-$(VERSION)/ HEAD | gzip -9n >$(BUILD)/$(NAME)-$(VERSION).tar.gz
	@echo $(BUILD)/$(NAME)-$(VERSION).tar.gz
