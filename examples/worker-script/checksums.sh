read -r request; top=${request#*'"directory":"'}; cd "${top%%'"'*}" || exit
set -- *; total=$#; done=0
for file; do
  echo "{\"progress\": {\"completedUnits\": $done, \"totalUnits\": $total, \"phase\": \"$file\"}}" >&3
  sum=$(sha256sum -- "$file") || exit
  sums="$sums${sums:+, }\"$file\": \"${sum%% *}\"" done=$((done + 1))
done
echo "{\"sha256\": {$sums}}"
