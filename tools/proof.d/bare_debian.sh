#!/usr/bin/env bash
# proof: a bare Debian 12 with git: clone, up, clients at every node, test; nothing else installed
# evidence: skeleton
# Needs root and debootstrap, and takes about 20 minutes: the compiler's cache is empty there, too.
set -euo pipefail
((EUID == 0)) || { echo "this line needs root, for a chroot"; exit 1; }
command -v debootstrap >/dev/null || { echo "this line needs debootstrap"; exit 1; }
bare="$STATE/root"

end() {
    umount "$bare/dev/pts" "$bare/dev" 2>/dev/null || true
    rm -rf --one-file-system "$bare"
}
trap end EXIT
end
debootstrap --variant=minbase --include=git,ca-certificates bookworm "$bare" >"$STATE/debootstrap"
# Only what is committed counts.
git clone -q --no-hardlinks "$ROOT" "$bare/asterias"
cp /etc/resolv.conf "$bare/etc/resolv.conf"
echo "127.0.0.1 localhost" >"$bare/etc/hosts" # every installed Debian has it
mount --bind /dev "$bare/dev"
mount --bind /dev/pts "$bare/dev/pts"

cat >"$bare/inside.sh" <<'INSIDE'
set -euo pipefail
cd /asterias
git log -1 --format='bare: commit %h'
start=$SECONDS
./dev up >/card 2>/up.log &
up=$!
until grep -q Promise /card; do
    kill -0 "$up" || { cat /up.log; exit 1; }
    sleep 1
done
cat /card
echo "bare: clone to card in $((SECONDS - start)) s (installing, building, starting)"
source tools/packages.sh
install_without_starting redis-tools python3-redis >/packages.log 2>&1
mapfile -t ports < <(sed -n 's/.*redis 127.0.0.1:\([0-9]*\).*/\1/p' /card)
((${#ports[@]} == 3))
for port in "${ports[@]}"; do
    [[ "$(redis-cli -p "$port" set "bare:$port" "by $port")" == OK ]]
    for other in "${ports[@]}"; do
        [[ "$(redis-cli -p "$other" get "bare:$port")" == "by $port" ]]
    done
    /usr/bin/python3 - "$port" <<'PYTHON'
import redis, sys
r = redis.Redis("127.0.0.1", int(sys.argv[1]))
assert r.set("python:" + sys.argv[1], b"\0\xff", ex=100) and r.ttl("python:" + sys.argv[1]) > 90
assert r.get("python:" + sys.argv[1]) == b"\0\xff"
with r.pipeline(transaction=False) as p:
    assert p.incr("python:n").incr("python:n").execute()[1] >= 2
PYTHON
    redis-benchmark -p "$port" -t set,get,incr,mset -n 20000 -q
done
kill -TERM "$up"
wait "$up" || true
echo "bare: clients work through ${#ports[@]} nodes"
./dev test
INSIDE
unshare --mount --pid --fork --mount-proc="$bare/proc" --kill-child \
    chroot "$bare" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    bash /inside.sh 2>&1 | tee "$STATE/output"
card="$(sed -n 's/^bare: clone to card in //p' "$STATE/output")"
tests="$(tail -n 1 "$STATE/output")"
[[ "$tests" == *" 0 failed"* ]]
echo "figure: card after $card; clients through every node; ./dev test: $tests"
