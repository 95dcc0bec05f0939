# Sourced by the tests that are scripts: numbered lines of TAP, and what went wrong below those that failed.
number=0

explain() { :; } # a test may define its own: what it prints stands below a line that failed

result() { # CODE TEXT
    number=$((number + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $number - $2"
    else
        echo "not ok $number - $2"
        explain | sed 's/^/# /'
    fi
}
