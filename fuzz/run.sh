#!/usr/bin/env bash
# Runs every fuzz target for FUZZ_SECONDS (20) each, or those that are named, from the fixtures and from what
# earlier runs grew in fuzz/corpus. Ends with 1 when a target broke; its input lies in fuzz/artifacts then.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo 'fuzz: cargo-fuzz is missing. Run: deploy/bootstrap.sh fuzz' >&2
    exit 2
fi

targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || mapfile -t targets < <(sed -n 's/^name = "\([a-z]*\)"$/\1/p' fuzz/Cargo.toml)

# Without a sanitizer, since the code that is fuzzed has no unsafe part; so the pinned toolchain will do.
cargo fuzz build --sanitizer none

status=0
for target in "${targets[@]}"; do
    seeds=("fixtures/fuzz/$target")
    case "$target" in
        brief | markdown) seeds+=(fixtures/briefs/good fixtures/briefs/bad) ;;
    esac
    mkdir -p "fuzz/corpus/$target"
    log=$(mktemp)
    if cargo fuzz run --sanitizer none "$target" "fuzz/corpus/$target" "${seeds[@]}" -- \
        -max_total_time="${FUZZ_SECONDS:-20}" -timeout=10 -max_len=16384 -print_final_stats=1 >"$log" 2>&1; then
        printf 'fuzz: %-10s %9d inputs tried\n' "$target" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    else
        status=1
        printf 'fuzz: %-10s BROKE:\n' "$target"
        tail -n 40 "$log"
    fi
    rm -f "$log"
done
exit "$status"
