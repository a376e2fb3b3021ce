#!/usr/bin/env bash
# docker/build.sh [redis] [--save FILE | --to HOST]: builds the images of docker hosts, if they are not there.
#
#   muster-system:local    every component and mock: `muster-system NAME ...`, `muster-mock NAME ...`; the workers
#                          of examples/ are importable in it, and yours in an image made FROM it (docs/worker.md)
#   muster-sandbox:local   what a simulated host is held by: `ip`, `tc`, `nft`
#   muster-redis:local     Redis 7, only when `redis` is asked for
#
# --save FILE writes them to a file (load it with `docker load -i FILE`), --to HOST brings muster-system:local to
# the engine of another machine over ssh. Exit code 0: they are there. 6: they could not be built, and why.
# 4: wrong usage.
#
# Tags are made from what goes in (muster-base:HASH, muster-deps:HASH, muster-system:HASH), so unchanged sources
# build nothing. The base is python:3.12-slim where an image registry answers (Docker's, or the one that
# MUSTER_REGISTRY names, as registry.example.com:5000), else made from Debian's packages (as root). Dependencies come
# in as wheels, fetched by this machine's pip: nothing is downloaded in a container.
set -euo pipefail

CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
readonly debian=bookworm mirror=${MUSTER_DEBIAN_MIRROR:-http://deb.debian.org/debian}
readonly registry=${MUSTER_REGISTRY:+${MUSTER_REGISTRY%/}/}
readonly tools=python3,iproute2,nftables,ca-certificates

say() { echo "images: $*" >&2; }
cannot() { say "$*"; exit 6; }
usage() { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; }

work=''
container=''
tidy() {
    [[ -z $container ]] || docker rm -f "$container" >/dev/null 2>&1 || true
    [[ -z $work ]] || rm -rf --one-file-system "$work"
}
trap tidy EXIT

hash_of() { sha256sum | cut -c1-12; }
there() { docker image inspect "$1" >/dev/null 2>&1; }

# run_out LOG COMMAND...: runs a command whose output only matters when it fails.
run_out() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 || cannot "$1 failed: $(grep -v '^ *$' "$log" | tail -n 1) (all of it: run docker/build.sh with KEEP=1, see $log)"
}

# --- the base: a system with Python and the tools of the network ------------------------------------------------

from_registry() {
    [[ ${MUSTER_BASE:-auto} != debian ]] || return 1
    timeout 300 docker pull -q "${registry}python:3.12-slim" >/dev/null 2>&1 || return 1
    say "base from ${registry}python:3.12-slim"
    container=$(docker create "${registry}python:3.12-slim" sh -c \
        'apt-get update -qq && apt-get install -y -qq --no-install-recommends iproute2 nftables && rm -rf /var/lib/apt/lists/*')
    run_out "$work/base.log" docker start -a "$container"
    commit "$1"
}

from_debian() {
    ((EUID == 0)) || cannot "no image registry answers, and making the base from Debian's packages needs root: sudo docker/build.sh"
    if ! command -v debootstrap >/dev/null; then
        command -v apt-get >/dev/null || cannot "no image registry answers and there is no debootstrap: install it, or make python:3.12-slim available"
        say "installing debootstrap"
        apt-get update -qq >/dev/null 2>&1 || true
        run_out "$work/apt.log" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap
    fi
    say "base from the packages of Debian $debian (a minute)"
    run_out "$work/debootstrap.log" debootstrap --variant=minbase --include="$tools" "$debian" "$work/root" "$mirror"
    tar -C "$work/root" --one-file-system --exclude='./usr/share/'{doc,man,locale,info}'/*' --exclude='./var/lib/apt/lists/*' \
        --exclude='./var/cache/*' --exclude='./var/log/*' --exclude='./dev/*' --exclude='__pycache__' -c . |
        docker import --change 'ENV LANG=C.UTF-8' --change 'CMD ["sh"]' - "$1" >/dev/null
}

# --- what is put on top of it -----------------------------------------------------------------------------------

# commit TAG [CHANGE...]: makes an image of $container.
commit() {
    local tag=$1 changes=()
    shift
    for change in "$@"; do changes+=(--change "$change"); done
    docker commit "${changes[@]}" "$container" "$tag" >/dev/null
    docker rm -f "$container" >/dev/null
    container=''
}

# layer BASE TAG FOLDER: an image of BASE with the files of FOLDER at the same place, its Python compiled.
layer() {
    local base=$1 tag=$2 folder=$3 packages
    packages=$(cd "$folder" && find opt/muster/lib -mindepth 1 -maxdepth 1 -printf '/%p ')
    # shellcheck disable=SC2086 # one word per package
    container=$(docker create "$base" python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash $packages)
    tar -C "$folder" --owner=0 --group=0 -c . | docker cp -q - "$container:/"
    docker start -a "$container" >/dev/null 2>&1 || true # what does not compile is not imported either
    commit "$tag" 'ENV PYTHONPATH=/opt/muster/lib' 'CMD ["muster-system","--help"]'
}

dependencies() {
    local python platform
    python=$(docker run --rm --network none "$1" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    say "dependencies as wheels for Python $python"
    [[ -x .venv/bin/python ]] || scripts/setup
    platform=$(uname -m)
    .venv/bin/python - >"$work/wanted.txt" <<'PYTHON'
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
print(*project["dependencies"], *extras["redis"], *extras["gateway"], *extras["node"], sep="\n")
print("async-timeout")  # redis wants it below Python 3.11.3, which pip looks for in this machine's Python
PYTHON
    run_out "$work/pip.log" .venv/bin/python -m pip install --quiet --no-compile --target "$work/deps/opt/muster/lib" \
        --only-binary=:all: --python-version "$python" --implementation cp --platform "manylinux_2_28_$platform" \
        --platform "manylinux_2_17_$platform" --platform "manylinux2014_$platform" --requirement "$work/wanted.txt" --constraint constraints.txt
    rm -rf "$work/deps/opt/muster/lib/bin"
    layer "$1" "$2" "$work/deps"
}

programs() {
    say "the programs"
    local name
    mkdir -p "$work/programs/opt/muster/lib" "$work/programs/usr/local/bin"
    tar -c --exclude=__pycache__ system mock_services examples | tar -C "$work/programs/opt/muster/lib" -x
    for name in system:system mock:mock_services; do
        printf '#!/usr/bin/env python3\nimport sys\nfrom %s.__main__ import main\nsys.exit(main())\n' "${name#*:}" \
            >"$work/programs/usr/local/bin/muster-${name%:*}"
        chmod 755 "$work/programs/usr/local/bin/muster-${name%:*}"
    done
    layer "$1" "$2" "$work/programs"
}

# redis TAG BASE: Redis from redis:7-alpine, else from the packages of the base's own Debian, fetched out here.
redis() {
    local tag=$1 base=$2 apt=$work/apt release
    if [[ ${MUSTER_BASE:-auto} != debian ]] && timeout 300 docker pull -q "${registry}redis:7-alpine" >/dev/null 2>&1; then
        say "Redis from ${registry}redis:7-alpine"
        docker tag "${registry}redis:7-alpine" "$tag"
        return
    fi
    command -v apt-get >/dev/null || cannot "no image registry answers and there is no apt-get: make redis:7-alpine available"
    mkdir -p "$apt"/{lists,cache/archives/partial}
    container=$(docker create "$base" sh -c 'dpkg --install /tmp/debs/*.deb && rm -rf /tmp/debs')
    docker cp -q "$container:/var/lib/dpkg/status" "$apt/status"
    docker cp -q "$container:/usr/share/keyrings/debian-archive-keyring.gpg" "$apt/keys.gpg"
    release=$(docker run --rm --network none "$base" sh -c '. /etc/os-release && echo "$VERSION_CODENAME"')
    say "Redis from the packages of Debian $release"
    echo "deb [signed-by=$apt/keys.gpg] $mirror $release main" >"$apt/sources.list"
    local options=(-q -y -o "Dir::State=$apt" -o "Dir::State::lists=$apt/lists" -o "Dir::State::status=$apt/status"
        -o "Dir::Cache=$apt/cache" -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=-
        -o APT::Sandbox::User=root -o Debug::NoLocking=1)
    run_out "$work/apt-update.log" apt-get "${options[@]}" update
    run_out "$work/apt-redis.log" apt-get "${options[@]}" install --download-only --no-install-recommends redis-server
    mkdir -p "$work/redis/tmp/debs"
    mv "$apt"/cache/archives/*.deb "$work/redis/tmp/debs"
    tar -C "$work/redis" --owner=0 --group=0 -c tmp/debs | docker cp -q - "$container:/"
    run_out "$work/redis.log" docker start -a "$container"
    commit "$tag" 'CMD ["redis-server","--bind","0.0.0.0","--protected-mode","no"]' 'EXPOSE 6379'
}

# Removes what was built before and nobody runs, but for the newest few: other checkouts may use this engine.
forget_old() {
    local name
    for name in muster-system muster-deps; do
        docker image ls --format '{{.Repository}}:{{.Tag}}' "$name" | { grep -v ':local$' || true; } | tail -n +6 |
            xargs -r docker rmi >/dev/null 2>&1 || true
    done
}

# --- all of it --------------------------------------------------------------------------------------------------

build() {
    local base deps system redis
    base=muster-base:$({ echo "$registry"; sed -n '/^readonly debian/,/^# --- what is put/p' docker/build.sh; } | hash_of)
    deps=muster-deps:$({ echo "$base"; sed -n '/^dependencies() {/,/^}/p' docker/build.sh; sed -n '/^dependencies = \[/,/^\]/p; /^redis = /p; /^gateway = /p; /^node = /p' pyproject.toml; cat constraints.txt; } | hash_of)
    system=muster-system:$({
        echo "$deps"
        find system mock_services examples -type f ! -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum
    } | hash_of)
    work=$(mktemp -d "${TMPDIR:-/tmp}/muster-images.XXXXXX")
    there "$base" || there "$system" || from_registry "$base" || from_debian "$base"
    there "$deps" || there "$system" || dependencies "$base" "$deps"
    there "$system" || programs "$deps" "$system"
    docker tag "$system" muster-system:local
    docker tag "$base" muster-sandbox:local
    if [[ $with_redis ]]; then
        redis=muster-redis:$({ echo "$base"; sed -n '/^redis() {/,/^}/p' docker/build.sh; } | hash_of)
        there "$redis" || redis "$redis" "$base"
        docker tag "$redis" muster-redis:local
        images+=(muster-redis:local)
    fi
    forget_old
    say "muster-system:local is $system, muster-sandbox:local is $base"
}

images=(muster-system:local muster-sandbox:local)
with_redis=''
if [[ ${1:-} == redis ]]; then
    with_redis=yes
    shift
fi
save=''
to=''
case ${1:-} in
    '') ;;
    --save | --to)
        [[ ${2:-} ]] || { usage; exit 4; }
        if [[ $1 == --save ]]; then save=$2; else to=$2; fi
        ;;
    -h | --help) usage; exit 0 ;;
    *) usage; exit 4 ;;
esac

docker/engine.sh --check >/dev/null || exit 6
lock=${TMPDIR:-/tmp}/muster-images.$(id -u).lock
exec 9>"$lock"
flock -w 600 9 || cannot "another docker/build.sh is at work since ten minutes ($lock)"
build
if [[ $save ]]; then
    docker save "${images[@]}" -o "$save" || cannot "they could not be saved to $save"
    say "saved to $save; load it with: docker load -i $save"
fi
if [[ $to ]]; then
    docker save muster-system:local | gzip | ssh -o BatchMode=yes "$to" 'gunzip | docker load' ||
        cannot "$to did not take it: 'ssh $to docker load' has to work there, without a password"
    say "loaded by the engine of $to"
fi
