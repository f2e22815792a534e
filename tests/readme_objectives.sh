#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The rows of README.md on objective/ against the headers, both ways: what is named there exists, and every header of advantages, losses,
# preference losses and presets is named. readme_objectives.sh SOURCE
set -eu
source=$1
objective=$source/include/infalign/objective
names=$(grep '^| `objective/' "$source/README.md" | grep -o '`[^`]*`' | tr -d '`' | grep -v '/' | sort -u)
[ "$(echo "$names" | wc -l)" -ge 40 ] || { echo "README.md has no rows on objective/, or few names in them"; exit 1; }
wrong=0

# Types and functions that a header declares at the beginning of a line, or behind INFALIGN_KEYED inline.
declared() {
  sed -nE 's/^(struct|class|enum class|void|concept) ([a-z_0-9]+).*/\2/p; s/^(policy_summary|response_counts|INFALIGN_KEYED (inline )?[a-z_:<>A-Z]+) ([a-z_0-9]+)\(.*/\3/p' "$@"
}
all=$(find "$objective" "$source/include/infalign/calibration" "$source/include/infalign/theory" "$source/include/infalign/procedure" -name '*.hpp')
known=$(declared $all)
for name in $names; do
  case $name in
    *.hpp) [ -f "$objective/presets/$name" ] || { echo "README.md names $name, which is no preset"; wrong=1; } ;;
    delta) grep -q 'double delta' "$objective/loss/clipped_surrogate.hpp" || { echo "README.md names delta, which is no option"; wrong=1; } ;;
    *) echo "$known" | grep -qx "$name" || { echo "README.md names $name, which no header declares"; wrong=1; } ;;
  esac
done

# Headers that hold options and concepts of others.
helpers='check group_options missing_reward subset_baseline token_mask kl_estimate likelihood_ratio token_loss preference_loss preference_statistics averaging'
for header in "$objective"/advantage/*.hpp "$objective"/loss/*.hpp "$objective"/preference/*.hpp "$objective"/presets/*.hpp; do
  stem=$(basename "$header" .hpp)
  case " $helpers " in *" $stem "*) continue ;; esac
  found=0
  for name in $(declared "$header") "$stem.hpp"; do
    echo "$names" | grep -qx "$name" && found=1
  done
  [ $found = 1 ] || { echo "README.md names nothing of $header"; wrong=1; }
done
exit $wrong
