#!/bin/sh
# Turn compiler commands, one a line, into a compile_commands.json for editors and clang-tidy.
awk -v directory="$PWD" '
    BEGIN { printf "[" }
    / -o / && match($0, /[^ ]*\.c /) {
        file = substr($0, RSTART, RLENGTH - 1)
        gsub(/\\/, "\\\\")
        gsub(/"/, "\\\"")
        printf "%s\n{\"directory\": \"%s\", \"file\": \"%s\", \"command\": \"%s\"}", n++ ? "," : "", directory, file, $0
    }
    END { print "\n]" }'
