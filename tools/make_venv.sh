#!/bin/sh
# Make the virtual environment $1, or mend it, and install the pinned pip.
# $PYTHON names the Python to use; without it the first good one is taken.
set -eu

venv=$1

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        if ! command -v "$PYTHON" >/dev/null 2>&1; then
            echo "PYTHON=$PYTHON: there is no such program." >&2
            return 1
        fi
        if ! is_new_enough "$PYTHON"; then
            echo "PYTHON=$PYTHON is $("$PYTHON" --version 2>&1); inboxd needs Python 3.11 or newer." >&2
            return 1
        fi
        echo "$PYTHON"
        return 0
    fi
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        if command -v "$candidate" >/dev/null 2>&1 && is_new_enough "$candidate"; then
            echo "$candidate"
            return 0
        fi
    done
    echo "inboxd needs Python 3.11 or newer, and there is none in the PATH." >&2
    if command -v python3 >/dev/null 2>&1; then
        echo "(python3 is $(python3 --version 2>&1).)" >&2
    fi
    echo "Install one, or name one: make PYTHON=/path/to/python3.12 ..." >&2
    return 1
}

is_usable() {
    [ -x "$venv/bin/python" ] && is_new_enough "$venv/bin/python" &&
        "$venv/bin/python" -m pip --version >/dev/null 2>&1 || return 1
    # One that was copied or moved here has scripts that point to where it came from.
    [ ! -e "$venv/.checkout" ] || [ "$(cat "$venv/.checkout")" = "$(pwd -P)" ]
}

if ! is_usable; then
    python=$(find_python)
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        echo "$python has no venv module. On Debian and Ubuntu: apt-get install python$version-venv" >&2
        exit 1
    fi
    echo "Making $venv with Python $version ..."
    "$python" -m venv --clear "$venv"
fi

pwd -P >"$venv/.checkout"
"$venv/bin/python" -m pip install --quiet --quiet \
    --constraint constraints.txt --upgrade pip
