# shellcheck shell=sh
# Sourced by ./run, ./check and .ci/run: makes .venv in the checkout from a lock file, with uv where it is there, else
# with python -m venv and pip. The caller sets $root, the folder of the checkout. POSIX sh, nothing else.

root=${root:?the caller sets it}

say() { printf 'casebridge: %s\n' "$*" >&2; }

# Print each program of that name on the PATH, not the first alone: a version manager's shim may be there and not work.
programs() {
    name=$1
    old_ifs=$IFS
    IFS=:
    for folder in $PATH; do
        [ -x "$folder/$name" ] && [ ! -d "$folder/$name" ] && printf '%s\n' "$folder/$name"
    done
    IFS=$old_ifs
}

# Print the first program of that name which starts.
find_uv() {
    programs uv | while IFS= read -r candidate; do
        if "$candidate" --version >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            break
        fi
    done
}

# Print the first Python that is new enough and runs the given statement.
find_python() {
    test_code="import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15)); "
    for name in python3.13 python3.12 python3.11 python3.14 python3 python; do
        programs "$name"
    done | while IFS= read -r candidate; do
        if "$candidate" -c "$1
$test_code" >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            break
        fi
    done
}

# Print what the environment is made of: when this changes, it is made again.
environment_mark() {
    case $1 in
        dev) lock=$root/requirements-dev.lock ;;
        *) lock=$root/requirements.lock ;;
    esac
    # The path is part of it: a virtual environment does not survive being moved.
    printf '%s %s %s\n' "$1" "$(cat "$lock" "$root/pyproject.toml" | cksum | tr ' ' '-')" "$root"
}

with_uv() {
    uv=$1
    if [ -n "$afresh" ] || ! "$venv/bin/python" -c '' >/dev/null 2>&1; then
        python=$(find_python "")
        "$uv" venv -q --clear --python "${python:->=3.11,<3.15}" "$venv" || return 1
    fi
    "$uv" pip sync -q --require-hashes --python "$venv/bin/python" "$lock" &&
        "$uv" pip install -q --no-deps --no-build-isolation --python "$venv/bin/python" -e "$root"
}

with_pip() {
    python=$1
    "$python" -m venv --clear "$venv" &&
        "$venv/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r "$lock" &&
        "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e "$root"
}

# Make the environment "run" or "dev" where it is not there as the lock file says.
ensure_environment() {
    wanted=$1
    venv=$root/.venv
    stamp=$venv/.casebridge-environment
    found=
    [ -r "$stamp" ] && IFS= read -r found <"$stamp"
    # A development environment holds everything that running needs: it is never made smaller.
    case $found in
        dev\ *) wanted=dev ;;
    esac
    mark=$(environment_mark "$wanted")
    [ "$found" = "$mark" ] && return 0

    case $wanted in
        dev) lock=$root/requirements-dev.lock ;;
        *) lock=$root/requirements.lock ;;
    esac
    # The stamp is written last. A set-up that was interrupted has none: half a package may be there, so it is begun
    # afresh, and so is an environment that was moved, whose scripts name the old place.
    case $found in
        *" $root") afresh= ;;
        *) afresh=yes ;;
    esac
    rm -f "$stamp"
    say "setting up .venv from ${lock##*/} (about a minute, only when it changed) ..."
    uv=$(find_uv)
    if [ -n "$uv" ] && with_uv "$uv"; then
        printf '%s\n' "$mark" >"$stamp"
        return 0
    fi
    [ -z "$uv" ] || say "uv could not do it; trying with pip."
    python=$(find_python "import venv, ensurepip")
    if [ -z "$python" ]; then
        if [ -n "$(find_python "")" ]; then
            say "cannot set up: this Python has no venv module; install it (Debian: apt install python3-venv) or install uv."
        else
            say "cannot set up: no Python from 3.11 to 3.14 was found; install one, or install uv, which brings its own."
        fi
        return 1
    fi
    if ! with_pip "$python"; then
        say "cannot set up: the packages of ${lock##*/} could not be installed (see above); is the package index reachable?"
        return 1
    fi
    printf '%s\n' "$mark" >"$stamp"
}
