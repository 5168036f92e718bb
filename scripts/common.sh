# What ./lockstep and ./test share; sourced by them, with `root` set to the repository's folder. Everything
# here speaks on standard error.
# shellcheck shell=bash
: "${root:?}"

# Lets ccache know a file again in another build folder or another clone.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
# ... and to keep what was compiled with a precompiled header.
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime

say() { echo "lockstep: $*" >&2; }
fail() { say "$*"; exit 3; }

# The packages named in the list files.
packages_in() { sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$@"; }

missing_packages() {
  LC_ALL=C comm -23 <(packages_in "$@" | LC_ALL=C sort -u) \
    <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | LC_ALL=C sort -u)
}

# install_packages ASK LIST...: installs what the lists name and the system lacks; with ASK=yes it asks first.
install_packages() {
  local ask=$1 missing command answer=yes
  shift
  if ! command -v apt-get >/dev/null; then
    for command in g++ cmake ninja; do
      command -v "$command" >/dev/null ||
        fail "$command is missing, and there is no apt-get; install what Debian calls: $(packages_in "$@" | xargs)"
    done
    return
  fi
  missing=$(missing_packages "$@" | xargs)
  [[ -n $missing ]] || return 0
  say "these Debian packages are missing: $missing"
  local run=(env DEBIAN_FRONTEND=noninteractive)
  if ((EUID != 0)); then
    command -v sudo >/dev/null || fail "install them as root: apt-get install $missing"
    run=(sudo "${run[@]}")
  fi
  if [[ $ask == yes ]]; then
    read -r -p "lockstep: install them now with apt-get? [Y/n] " answer || answer=no
    [[ ${answer,,} =~ ^(y|yes|)$ ]] || fail "nothing was installed; install them with: apt-get install $missing"
  fi
  local options=(-o DPkg::Lock::Timeout=600 -qq)
  # shellcheck disable=SC2086  # the names are words of their own
  if ! { "${run[@]}" apt-get "${options[@]}" update &&
    "${run[@]}" apt-get "${options[@]}" install -y --no-install-recommends $missing; } >&2; then
    fail "apt-get could not install the packages above; its messages say why"
  fi
}

# configure FOLDER CMAKE-OPTION...: once a folder; ninja repeats it by itself when a CMake file changes.
configure() {
  local folder=$1 wanted
  shift
  wanted="$root $*"
  if [[ -f $folder/build.ninja && $(cat "$folder/configured" 2>/dev/null) == "$wanted" ]]; then return 0; fi
  mkdir -p "$folder" || fail "$folder cannot be made"
  if ! cmake --fresh -S "$root" -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release "$@" >"$folder/configure.log" 2>&1; then
    cat "$folder/configure.log" >&2
    fail "the build could not be prepared; the packages that it needs are listed in cmake/debian-packages.txt"
  fi
  echo "$wanted" >"$folder/configured"
}
