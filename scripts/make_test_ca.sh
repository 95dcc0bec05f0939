#!/bin/sh
# Make a certificate authority and certificates for a run: make_test_ca.sh DIRECTORY [WORKERS [SERVERS [NAME...]]]
# Writes ca.pem, server-<k>.pem/.key and worker-<k>.pem/.key. The servers' certificates are good for localhost,
# 127.0.0.1, ::1 and the NAMEs (host names or addresses). They last DAYS days (30). Keep ca.key away from the run.
# What is there is kept, so that a greater WORKERS adds some; RENEW="worker-7 server-0" makes these anew, with new keys.
# Git ignores the directory, so that no key is committed by mistake.
#
# For tests of refusals, BAD=1 adds other-ca worker-0 (another authority), expired worker-0, and stranger (a name
# that is no worker's).
set -eu
dir=${1:?usage: make_test_ca.sh DIRECTORY [WORKERS [SERVERS [NAME...]]]}
workers=${2:-4}
servers=${3:-1}
[ $# -lt 3 ] && shift $# || shift 3
days=${DAYS:-30}
umask 077
mkdir -p "$dir"
cd "$dir"
echo '*' >.gitignore

names="DNS:localhost,IP:127.0.0.1,IP:::1"
for name in "$@"; do
    case $name in
        *[!0-9.]*) case $name in *:*) names="$names,IP:$name" ;; *) names="$names,DNS:$name" ;; esac ;;
        *) names="$names,IP:$name" ;;
    esac
done

authority() { # FILE COMMON-NAME
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.pem" \
        -subj "/O=DRACO/CN=$2" -days "$days" -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
        -addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null
}

# Each file appears whole and under its name at once: a run may read it meanwhile.
certificate() { # FILE COMMON-NAME AUTHORITY EXTENSIONS [x509-OPTION...]
    file=$1 name=$2 issuer=$3 extensions=$4
    shift 4
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$file.key.new" -out "$file.csr" \
        -subj "/O=DRACO/CN=$name" 2>/dev/null
    printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n%s\n' "$extensions" >"$file.ext"
    [ $# -gt 0 ] || set -- -days "$days"
    openssl x509 -req -in "$file.csr" -CA "$issuer.pem" -CAkey "$issuer.key" -CAcreateserial -extfile "$file.ext" \
        -out "$file.pem.new" "$@" 2>/dev/null
    mv "$file.key.new" "$file.key"
    mv "$file.pem.new" "$file.pem"
    rm -f "$file.csr" "$file.ext"
}

member() { # NAME EXTENSIONS
    case " ${RENEW:-} " in
        *" $1 "*) ;;
        *) [ ! -f "$1.pem" ] || return 0 ;;
    esac
    certificate "$1" "$1" ca "$2"
    echo "$dir/$1.pem"
}

client="extendedKeyUsage=clientAuth"
[ -f ca.pem ] || authority ca "DRACO test authority"
k=0
while [ "$k" -lt "$servers" ]; do # servers call each other as well
    member "server-$k" "$(printf 'extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=%s' "$names")"
    k=$((k + 1))
done
k=0
while [ "$k" -lt "$workers" ]; do
    # Workers that relay parameters call each other, by these names.
    member "worker-$k" "$(printf 'extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:worker-%s' "$k")"
    k=$((k + 1))
done

if [ "${BAD:-0}" = 1 ]; then
    authority other-ca "Another authority"
    certificate other worker-0 other-ca "$client"
    certificate stranger stranger ca "$client"
    # x509 -req has no start date: an authority's database does.
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout expired.key -out expired.csr \
        -subj "/O=DRACO/CN=worker-0" 2>/dev/null
    : >index.txt
    printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial.txt\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n[p]\nO=supplied\nCN=supplied\n[e]\n%s\n' "$client" >ca.cnf
    echo 7001 >serial.txt
    openssl ca -batch -config ca.cnf -extensions e -cert ca.pem -keyfile ca.key -in expired.csr -out expired.pem -notext \
        -startdate 20200101000000Z -enddate 20200102000000Z 2>/dev/null
    rm -f expired.csr index.txt* serial.txt* ca.cnf 7001.pem
fi
rm -f ./*.srl
