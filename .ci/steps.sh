# Steps of a run: each is announced and timed, the first that fails is named and ends the run.
#
#     step NAME COMMAND...      runs a command and waits for it
#     beside NAME COMMAND...    starts a command while other steps go on
#     join NAME                 waits for such a command and shows what it wrote
#
# shellcheck shell=bash

# The prefix of each command, such as `timeout 20m`.
limit=()
names=()
times=()
current='before the first step'
declare -A pids=()

step() {
    current=$1
    shift
    local begun=$SECONDS
    printf '\n=== %s\n' "$current"
    "${limit[@]}" "$@"
    took "$current" $((SECONDS - begun))
}

beside() {
    local name=$1 begun=$SECONDS
    shift
    printf '\n=== %s (beside the next steps)\n' "$name"
    mkdir -p target/ci
    # A separate process group, so that all of its processes can be ended.
    set -m
    {
        "$@"
        echo $((SECONDS - begun)) >"$(log_of "$name").seconds"
    } >"$(log_of "$name")" 2>&1 </dev/null &
    pids[$name]=$!
    set +m
}

join() {
    current=$1
    printf '\n=== %s (what it wrote)\n' "$current"
    local code=0
    wait "${pids[$current]}" || code=$?
    unset "pids[$current]"
    cat "$(log_of "$current")"
    ((code == 0)) || exit "$code"
    took "$current" "$(<"$(log_of "$current").seconds")"
}

log_of() {
    printf 'target/ci/%s.log' "${1// /-}"
}

took() {
    names+=("$1")
    times+=("$2")
    current="after $1"
}

clock() {
    printf '%d:%02d' $(($1 / 60)) $(($1 % 60))
}

finish() {
    local code=$? i
    for i in "${!pids[@]}"; do
        kill -- "-${pids[$i]}" 2>/dev/null || true
        wait "${pids[$i]}" 2>/dev/null || true
    done
    printf '\n'
    for i in "${!names[@]}"; do
        printf '%-28s %6s\n' "${names[$i]}" "$(clock "${times[$i]}")"
    done
    printf '%-28s %6s\n\n' 'in all' "$(clock "$SECONDS")"
    if ((code != 0)); then
        # timeout's own exit code.
        ((code != 124)) || printf 'The step took too long and was ended.\n'
        printf 'CI failed in step "%s" (exit code %d)\n' "$current" "$code"
        exit "$code"
    fi
    printf 'CI passed: all %d steps in %s minutes\n' "${#names[@]}" "$(clock "$SECONDS")"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
