#!/bin/sh
# Usage: system_libraries.sh [PYTHON]
#
# WeasyPrint, which writes the PDF report, needs Pango, PangoFT2 and HarfBuzz-Subset from the system.
# Where they do not load this installs them if it may without asking, else prints the line to type.
# It always succeeds: the HTML report needs none of them.
set -eu

python=${1:-.venv/bin/python}

# WeasyPrint only warns when HarfBuzz-Subset is missing, so that warning counts as a failure too.
libraries_load() {
    "$python" -W 'error:HarfBuzz-Subset' -c 'import weasyprint' </dev/null >/dev/null 2>&1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# Homebrew refuses to run as root; the others need it. sudo -n fails rather than ask for a password.
privileged() {
    if [ "$manager" = brew ] || [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

quietly() {
    "$@" </dev/null >/dev/null 2>&1
}

if libraries_load; then
    exit 0
fi

if has apt-get; then
    manager=apt-get
    set -- apt-get install -y --no-install-recommends \
        libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0
elif has dnf; then
    manager=dnf
    set -- dnf install -y pango harfbuzz
elif has apk; then
    manager=apk
    set -- apk add so:libpango-1.0.so.0 so:libpangoft2-1.0.so.0 so:libharfbuzz-subset.so.0
elif has brew; then
    manager=brew
    set -- brew install pango
else
    echo 'For PDF reports install Pango, PangoFT2 and HarfBuzz-Subset with your package manager; HTML works without.'
    exit 0
fi

if [ "$manager" = brew ] || [ "$(id -u)" -eq 0 ]; then
    to_type="$*"
else
    to_type="sudo $*"
fi

if quietly privileged true; then
    echo "Installing the system libraries for PDF reports: $to_type"
    if [ "$manager" = apt-get ]; then
        # One unreachable source must not stop the rest, nor may another package manager's lock.
        quietly privileged apt-get -o Acquire::http::Timeout=30 update || true
        quietly privileged env DEBIAN_FRONTEND=noninteractive "$@" -o DPkg::Lock::Timeout=60 || true
    else
        quietly privileged env HOMEBREW_NO_AUTO_UPDATE=1 "$@" || true
    fi
fi

if ! libraries_load; then
    echo "PDF reports need system libraries, HTML works without; type: $to_type"
fi
