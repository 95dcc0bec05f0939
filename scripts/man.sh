#!/bin/sh
# Print a manual page: man.sh header FILE.h VERSION, its opening comment; man.sh program FILE VERSION, its --help.
set -eu
kind=$1 file=$2 version=$3
name=$(basename "$file")

# Text as it stands: nothing is filled, and no line is a request of roff. Lines in capitals are headings.
verbatim() {
    echo '.nf'
    sed -e 's/\\/\\e/g' -e "s/^[.']/\\\\\&&/" -e 's/-/\\-/g' -e 's/^\([A-Z][A-Z, ]*[A-Z]\)$/.fi\n.SH \1\n.nf/'
    echo '.fi'
}

case $kind in
    header)
        printf '.TH %s 3 "" "draco-codes %s"\n.SH NAME\n' "$name" "$version"
        sed -n '1s/^.* version [0-9.]* - \(.*\)$/\1/p' "$file" | sed "s/^/$name \\\\- /"
        printf '.SH SYNOPSIS\n.B #include <%s>\n.PP\nCompile and link with\n.B pkg-config \\-\\-cflags \\-\\-libs draco-codes\n' "$name"
        printf '.SH DESCRIPTION\n'
        sed -n '2,/\*\//p' "$file" | sed -e 's/ *\*\/$//' -e 's/^ \* \{0,1\}//' | verbatim
        ;;
    program)
        printf '.TH %s 1 "" "draco-codes %s" "User Commands"\n.SH NAME\n' "$name" "$version"
        printf '%s \\- train a model with workers of which some lie\n.SH SYNOPSIS\n.B %s\n[\\fIOPTION\\fR]...\n' "$name" "$name"
        printf '.SH DESCRIPTION\n'
        "$file" --help | sed 1d | verbatim
        printf '.SH SEE ALSO\n.BR draco.h (3),\n.BR draco_codes.h (3),\n.BR draco_vote.h (3)\n'
        ;;
    *) echo "usage: man.sh header|program FILE VERSION" >&2; exit 2 ;;
esac
