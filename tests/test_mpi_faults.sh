#!/bin/sh
# Liars on the wire: too few bytes, too many, none, a wrong step, an old one, two answers, garbage, a flood. They
# are named, nobody else is, nothing is lost, nothing hangs.
. "$(dirname "$0")/support/mpi.sh"
peer=$BUILD/tests/peer_mpi_faults
log=$BUILD/logs/mpi_faults.out
mkdir -p "$BUILD/logs"

lies() {
    DRACO_MPI_SERVERS=$2 timeout -k 3 60 mpirun --mca orte_allowed_exit_without_sync 1 -n $((8 + $2)) \
        scripts/mpi_rank.sh "$peer" "$1" "$2" >"$log" 2>&1 </dev/null
    code=$?
    [ "$code" -eq 0 ] && [ "$(grep -c '^ok' "$log")" -eq 2 ]
    good=$?
    result $good "$1, $2 server(s): named, nothing is lost, nothing hangs (code $code)"
    [ $good -eq 0 ] || grep -v PMIX "$log" | tail -n 20 | sed 's/^/# /'
}

for name in honest no-bytes cannot-answer whispers-to-workers relay-honest relay-silent; do lies "$name" 1; done

# Those that no honest worker can do are told with the reason; a second answer meets the next request, or comes before it.
while IFS='|' read -r name line; do
    lies "$name" 1
    grep -q "# worker 3 (rank 4) $line" "$log"
    result $? "$name: $line"
done <<'END'
too-few-bytes|violated the protocol: .* bytes of its reply are missing
too-many-bytes|violated the protocol, 1 time so far: it sent more bytes than its reply has
a-huge-message|is cut off: it violated the protocol with a message of 104857600 bytes
a-head-with-more|violated the protocol, 1 time so far: it sent a reply of another size than was asked for
a-head-with-less|violated the protocol, 1 time so far: it sent a reply of another size than was asked for
wrong-step|violated the protocol, 1 time so far: it sent a reply to another request or step
last-step-again|violated the protocol, 1 time so far: it sent a reply to another request or step
answers-twice|violated the protocol, 1 time so far: it sent \(a reply that nobody asked for\|a reply to another request or step\|part of a reply without its head\)
garbage|violated the protocol, 1 time so far: it sent a message of an unknown kind
a-flood|violated the protocol, 1 time so far: it sent a message of an unknown kind
mute|has let 3 deadlines pass: it is not waited for until it answers
relay-wrong-bytes|relays nothing for 8 broadcasts: more workers than may lie missed what it had to
relay-stops|relays nothing for 8 broadcasts: more workers than may lie missed what it had to
relay-too-few-bytes|relays nothing for 8 broadcasts: more workers than may lie missed what it had to
relay-too-many-bytes|relays nothing for 8 broadcasts: more workers than may lie missed what it had to
relay-a-huge-frame|relays nothing for 8 broadcasts: more workers than may lie missed what it had to
relay-a-flood|relays nothing for 8 broadcasts: more workers than may lie missed what it had to
relay-asks-for-nonsense|violated the protocol, 1 time so far: it sent a question for pieces that there are not
END
for name in honest too-many-bytes wrong-step garbage relay-honest relay-wrong-bytes relay-a-flood; do lies "$name" 3; done
echo "1..$number"
