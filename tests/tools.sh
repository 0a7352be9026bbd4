# Sourced by ./test and .ci/run: what the tests need of the machine. Installs what is missing, or says what to install.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TARGET=${CARGO_TARGET_DIR:-target}
case $TARGET in /*) ;; *) TARGET=$ROOT/$TARGET ;; esac
export CARGO_TARGET_DIR=$TARGET
# A lock file that does not fit is a fault in CI, and an everyday thing at a desk.
LOCKED=${CI:+--locked}
TOOLS=$TARGET/test-tools
mkdir -p "$TOOLS"

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Runs quietly; shows what was said only if it fails.
quietly() {
  local log=$TOOLS/last-install.log
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 40 "$log" >&2
    return 1
  fi
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# need NAME TEST PACKAGE...: installs the packages unless the test succeeds.
MISSING=()
need() {
  local what=$1 check=$2
  shift 2
  eval "$check" >/dev/null 2>&1 && return
  if [[ " ${MISSING[*]} " != *"$what=$*"* ]]; then MISSING+=("$what=$*"); fi
}

# Debian 12 packages 7z as p7zip-full, later ones as 7zip.
seven_zip() { if apt-cache show p7zip-full >/dev/null 2>&1; then echo p7zip-full; else echo 7zip; fi; }

install_missing() {
  [ ${#MISSING[@]} = 0 ] && return 0
  local names=() packages=() entry
  for entry in "${MISSING[@]}"; do names+=("${entry%%=*}"); done
  if ! command -v apt-get >/dev/null || { [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; }; then
    fail "missing: ${names[*]}. On Debian: apt-get install $(printf '%s ' "${MISSING[@]#*=}"); elsewhere your system's packages of the same."
  fi
  say "Installing ${names[*]}"
  quietly as_root apt-get update || fail "apt-get update failed"
  for entry in "${MISSING[@]}"; do
    # shellcheck disable=SC2206
    packages+=(${entry#*=})
  done
  packages=("${packages[@]/7z-by-release/$(seven_zip)}")
  quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}" \
    || fail "apt-get install ${packages[*]} failed"
  MISSING=()
}

# ---- Rust -----------------------------------------------------------------------------------------------------------

need_rust() {
  command -v cargo >/dev/null || fail "Rust is missing: install it with rustup (see Cargo.toml, rust-version)"
  need "C compiler" "command -v cc" build-essential
  need "postgresql" "postgres_bin && command -v psql" postgresql
  need "python3" "command -v python3" python3
  need_mariadb
}

# ---- PostgreSQL -----------------------------------------------------------------------------------------------------

# The folder of the newest server's programs.
postgres_bin() {
  local found
  found=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5 -n | while read -r dir; do
    [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && echo "$dir"
  done | tail -n 1)
  if [ -z "$found" ] && command -v initdb >/dev/null; then found=$(dirname "$(command -v initdb)"); fi
  [ -n "$found" ] && echo "$found"
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# PostgreSQL refuses to run as root.
as_postgres() {
  if [ "$(id -u)" = 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

POSTGRES_DIR=
start_postgres() {
  local bin port
  bin=$(postgres_bin) || fail "no PostgreSQL server found"
  POSTGRES_DIR=$(mktemp -d "${TMPDIR:-/tmp}/portward-postgres-XXXXXX")
  if [ "$(id -u)" = 0 ]; then chown postgres "$POSTGRES_DIR"; fi
  as_postgres "$bin/initdb" -D "$POSTGRES_DIR/data" -U postgres -A trust -E UTF8 --no-locale --no-sync \
    >"$TOOLS/postgres-init.log" 2>&1 || { cat "$TOOLS/postgres-init.log" >&2; fail "initdb failed"; }
  local attempt
  for attempt in 1 2 3 4 5; do
    port=$(free_port)
    # Throw-away data needs no durability; the tests need many connections.
    if as_postgres "$bin/pg_ctl" -D "$POSTGRES_DIR/data" -l "$POSTGRES_DIR/log" -w -t 60 -s \
      -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c max_connections=300" \
      start >/dev/null 2>&1 </dev/null; then
      export TEST_DATABASE_URL=postgres://postgres@127.0.0.1:$port/postgres
      return 0
    fi
  done
  tail -n 20 "$POSTGRES_DIR/log" >&2
  fail "PostgreSQL does not start (attempt $attempt)"
}

stop_postgres() {
  [ -n "$POSTGRES_DIR" ] || return 0
  as_postgres "$(postgres_bin)/pg_ctl" -D "$POSTGRES_DIR/data" -m immediate -s stop >/dev/null 2>&1 || true
  rm -rf "$POSTGRES_DIR"
  POSTGRES_DIR=
}

# ---- MariaDB --------------------------------------------------------------------------------------------------------

need_mariadb() {
  need "mariadb" "mariadb_server && command -v mariadb-install-db" mariadb-server
}

# The server's program; Debian has it where only root's PATH looks.
mariadb_server() {
  local found
  for found in "$(command -v mariadbd)" /usr/sbin/mariadbd /usr/libexec/mariadbd; do
    if [ -x "$found" ]; then echo "$found"; return; fi
  done
  return 1
}

# MariaDB refuses to run as root too; its package brings a user.
as_mysql() {
  if [ "$(id -u)" = 0 ]; then (cd / && runuser -u mysql -- "$@"); else "$@"; fi
}

MARIADB_DIR=
MARIADB_PID=
start_mariadb() {
  local server port attempt waited
  server=$(mariadb_server) || fail "no MariaDB server found"
  MARIADB_DIR=$(mktemp -d "${TMPDIR:-/tmp}/portward-mariadb-XXXXXX")
  if [ "$(id -u)" = 0 ]; then chown mysql "$MARIADB_DIR"; fi
  # Nobody's configuration but ours: --no-defaults comes first.
  as_mysql mariadb-install-db --no-defaults --datadir="$MARIADB_DIR/data" --auth-root-authentication-method=normal \
    --skip-test-db --skip-name-resolve >"$TOOLS/mariadb-init.log" 2>&1 || { cat "$TOOLS/mariadb-init.log" >&2; fail "mariadb-install-db failed"; }
  for attempt in 1 2 3 4 5; do
    port=$(free_port)
    # Throw-away data needs no durability; a row of a hundred megabytes must fit into a packet.
    as_mysql "$server" --no-defaults --datadir="$MARIADB_DIR/data" --socket="$MARIADB_DIR/socket" --pid-file="$MARIADB_DIR/pid" \
      --port="$port" --bind-address=127.0.0.1 --skip-name-resolve --skip-log-bin --max-connections=300 --max-allowed-packet=1G \
      --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 --innodb-fast-shutdown=2 --innodb-buffer-pool-size=64M \
      --character-set-server=utf8mb4 --log-error="$MARIADB_DIR/log" >/dev/null 2>&1 </dev/null &
    MARIADB_PID=$!
    for ((waited = 0; waited < 300; waited++)); do
      kill -0 "$MARIADB_PID" 2>/dev/null || break
      if [ -s "$MARIADB_DIR/pid" ] && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        export TEST_MYSQL_URL=mysql://root@127.0.0.1:$port/mysql
        return 0
      fi
      sleep 0.2
    done
  done
  tail -n 20 "$MARIADB_DIR/log" >&2
  fail "MariaDB does not start (attempt $attempt)"
}

stop_mariadb() {
  [ -n "$MARIADB_DIR" ] || return 0
  local pid
  pid=$(cat "$MARIADB_DIR/pid" 2>/dev/null)
  if [ -n "$pid" ]; then as_mysql kill -KILL "$pid" 2>/dev/null || true; fi
  if [ -n "$MARIADB_PID" ]; then wait "$MARIADB_PID" 2>/dev/null || true; fi
  rm -rf "$MARIADB_DIR"
  MARIADB_DIR= MARIADB_PID=
}

# ---- S3 -------------------------------------------------------------------------------------------------------------

# rclone serves a folder as S3, and checks signatures; it comes with the Python packages.
S3_DIR=
S3_PID=
start_s3() {
  local port attempt waited
  S3_DIR=$(mktemp -d "${TMPDIR:-/tmp}/portward-s3-XXXXXX")
  mkdir "$S3_DIR/buckets"
  for attempt in 1 2 3 4 5; do
    port=$(free_port)
    "$TOOLS/python/bin/rclone" serve s3 --config "$S3_DIR/none" --addr "127.0.0.1:$port" --auth-key portward,portward-secret \
      --dir-cache-time 0 "$S3_DIR/buckets" >"$S3_DIR/log" 2>&1 </dev/null &
    S3_PID=$!
    for ((waited = 0; waited < 150; waited++)); do
      kill -0 "$S3_PID" 2>/dev/null || break
      if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        export TEST_S3_URL=http://127.0.0.1:$port TEST_S3_FOLDER=$S3_DIR/buckets
        return 0
      fi
      sleep 0.2
    done
  done
  tail -n 20 "$S3_DIR/log" >&2
  fail "the S3 service does not start (attempt $attempt)"
}

stop_s3() {
  if [ -n "$S3_PID" ]; then kill "$S3_PID" 2>/dev/null || true; wait "$S3_PID" 2>/dev/null || true; fi
  if [ -n "$S3_DIR" ]; then rm -rf "$S3_DIR"; fi
  S3_DIR= S3_PID=
}

# ---- Node and Python ------------------------------------------------------------------------------------------------

need_clients() {
  need "python3" "python3 -c 'import venv, ensurepip'" python3 python3-venv
  need "openssl" "command -v openssl" openssl
  need "npm" "command -v npm" nodejs npm
}

need_node() {
  need "npm" "command -v npm" nodejs npm
}

need_browser() {
  need "npm" "command -v npm" nodejs npm
  need "chromium" "command -v chromium" chromium fonts-dejavu-core
}

need_portal() {
  need "openssl" "command -v openssl" openssl
  need "unzip" "command -v unzip" unzip
}

need_archives() {
  need "python3" "command -v python3" python3
  need "unzip" "command -v unzip" unzip
  need "7z" "command -v 7z" 7z-by-release
  need "bsdtar" "command -v bsdtar" libarchive-tools
  need "jar" "command -v jar" default-jdk-headless
}

# Today's OAuth libraries want Node 20; where the system's is older, the npm registry has one as a package.
NODE=
node_tools() {
  [ -n "$NODE" ] && return 0
  local major
  major=$(node --version 2>/dev/null | sed 's/^v//; s/\..*//')
  if [ "${major:-0}" -ge 20 ]; then
    NODE=$(command -v node)
  else
    local arch
    case $(uname -m) in x86_64) arch=x64 ;; aarch64) arch=arm64 ;; *) fail "Node 20 or newer is missing" ;; esac
    local package=node-linux-$arch
    NODE=$TOOLS/node-own/node_modules/$package/bin/node
    if ! [ -x "$NODE" ]; then
      say "Bringing Node 22 (the system has ${major:-none})"
      mkdir -p "$TOOLS/node-own"
      quietly npm install --prefix "$TOOLS/node-own" --no-save "$package@22" || fail "cannot install $package@22"
    fi
  fi
  # The lock file is the key: packages are laid anew only when it changes.
  local key
  key=$(cat "$ROOT/tests/package.json" "$ROOT/tests/package-lock.json" | sha256sum)
  if [ "$(cat "$TOOLS/node/.key" 2>/dev/null)" != "$key" ]; then
    say "Installing npm packages"
    mkdir -p "$TOOLS/node"
    cp "$ROOT/tests/package.json" "$ROOT/tests/package-lock.json" "$TOOLS/node/"
    (cd "$TOOLS/node" && quietly npm ci --no-audit --no-fund) || fail "npm ci failed"
    echo "$key" >"$TOOLS/node/.key"
  fi
  # Modules are looked for upwards from the scripts that import them.
  ln -sfn "$TOOLS/node/node_modules" "$ROOT/node_modules"
}

PYTHON=
python_tools() {
  [ -n "$PYTHON" ] && return 0
  local key
  key=$(cat "$ROOT/tests/clients/python/requirements.txt" | sha256sum)
  if [ "$(cat "$TOOLS/python/.key" 2>/dev/null)" != "$key" ]; then
    say "Installing Python packages"
    rm -rf "$TOOLS/python"
    quietly python3 -m venv "$TOOLS/python" || fail "python3 -m venv failed"
    quietly "$TOOLS/python/bin/pip" install --disable-pip-version-check -r "$ROOT/tests/clients/python/requirements.txt" \
      || fail "pip install failed"
    echo "$key" >"$TOOLS/python/.key"
  fi
  PYTHON=$TOOLS/python/bin/python
}
