# Debian's packages, for the scripts that build what the lab boots; sourced after lib.sh, never run.
# shellcheck shell=bash

# step TEXT COMMAND...: runs it, its output to a log that is shown if it fails. The log is in $new.
step() {
    local text=$1 log started
    # shellcheck disable=SC2154 # new: by the scripts that source this
    log="$new/log.${text//[^a-z]/-}"
    shift
    started=$(now)
    # In a subshell of its own, where set -e holds.
    "$@" >"$log" 2>&1 </dev/null &
    wait $! || { tail -n 30 "$log" >&2; die "failed: $text (the end of its log is above)"; }
    say "$text: $(seconds_since "$started")"
}

# The host's own Debian mirror, if it runs bookworm too.
mirror() {
    local site
    site=$(apt-get indextargets --format '$(SITE) $(CODENAME) $(COMPONENT)' 2>/dev/null | sed -n 's/ bookworm main$//p' | head -n 1)
    printf '%s' "${OUTGUARD_LAB_MIRROR:-${site:-http://deb.debian.org/debian}}"
}

sources() {
    local site
    site=$(mirror)
    site=${site%/}
    # Nothing comes from backports but what is asked for by that name.
    printf 'deb %s %s main\n' "$site" bookworm "$site" bookworm-updates "$site" bookworm-backports "${site%/debian}/debian-security" bookworm-security
}

# bootstrap VARIANT PACKAGES TARGET [OPTION...]: Debian's packages, unpacked and installed in TARGET. The host's apt settings on
# how to reach its mirror (proxies, snapshots) hold here too.
# shellcheck disable=SC2034 # by the scripts that source this
merged_usr=--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr # or else the package usrmerge, with all of Perl: 50 MB
bootstrap() {
    local variant=$1 packages=$2 target=$3 acquire option=()
    shift 3
    while IFS= read -r acquire; do
        option+=("--aptopt=$acquire")
    done < <(apt-config dump | grep -E '^Acquire::(https?::|Check-|Retries)')
    sources | mmdebstrap --mode=root --variant="$variant" ${packages:+--include="$packages"} "${option[@]}" "$@" bookworm "$target" -
}
