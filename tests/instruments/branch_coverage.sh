#!/usr/bin/env bash
# usage: branch_coverage.sh PROFDATA COV FOLDER PROGRAM SOURCE...
# Runs PROGRAM, built with -fprofile-instr-generate -fcoverage-mapping, and fails unless both ways of every branch in every
# SOURCE were taken. Names the branches that were not.
set -euo pipefail
profdata=$1 cov=$2 folder=$3 program=$4
shift 4

command -v "$profdata" >/dev/null && command -v "$cov" >/dev/null ||
    { echo "branch_coverage: llvm-profdata-19 and llvm-cov-19 are needed: package llvm-19" >&2; exit 1; }
mkdir -p "$folder"
rm -f "$folder"/*.profraw
LLVM_PROFILE_FILE="$folder/run.profraw" "$program" --gtest_brief=1 >"$folder/run.log" ||
    { cat "$folder/run.log"; echo "branch_coverage: the tests failed" >&2; exit 1; }
"$profdata" merge -o "$folder/run.profdata" "$folder/run.profraw"
"$cov" export "$program" -instr-profile="$folder/run.profdata" -format=lcov -sources "$@" >"$folder/run.lcov"

# BRDA:line,block,branch,count: count is 0, or - where the line was not reached.
awk -F '[:,]' -v expected="$#" '
    /^SF:/ { file = substr($0, 4); files++ }
    /^BRDA:/ { all++; if ($5 == 0 || $5 == "-") { missing++; printf "%s:%s: branch %s was not taken\n", file, $2, $4 } }
    /^FNDA:0,/ { idle++; print file ": never called: " substr($0, 8) }
    END {
        printf "%d files, %d branches, %d not taken, %d functions not called\n", files, all, missing, idle
        exit !(files == expected && all > 0 && missing == 0 && idle == 0)
    }' "$folder/run.lcov"
