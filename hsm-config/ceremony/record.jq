# A record as text, and a step's result as people see it. Every value of the JSON stands in the text.

def plain: tostring | gsub("[\u0000-\u001f\u007f]+"; " ") | sub(" +$"; "");

def result_lines($in):
  def child($key; $value):
    if ($value | type) == "object" and ($value | length) > 0 and all($value[]; type == "boolean") then
      $in + "- " + $key + ": yes " + ([$value | to_entries[] | select(.value) | .key] | join(" ")),
      $in + "  no " + ([$value | to_entries[] | select(.value | not) | .key] | join(" "))
    elif ($value | type) == "object" or ($value | type) == "array" then
      $in + "- " + $key + ":", ($value | result_lines($in + "  "))
    else $in + "- " + $key + ": " + ($value | plain) end;
  if type == "object" then to_entries[] | child(.key; .value)
  elif type == "array" then to_entries[] | child(.key + 1 | tostring; .value)
  else $in + "- " + plain end;

def step_lines:
  "", "## \(.number). \(.title | plain)", "",
  "- step: \(.step)",
  "- begun: \(.begun | join(", "))",
  "- done: \(.at)",
  "- confirmed by: \(.confirmed | join(", "))",
  "- result:", (.result | result_lines("  "));

def record_text:
  "# Record of a key ceremony: \(.ceremony)" + (if .rehearsal then " (REHEARSAL)" else "" end), "",
  (if .rehearsal then "This was a rehearsal on throw-away tokens: no key of it may be used.", "" else empty end),
  (if .outcome == "undone" then "This ceremony was taken back: nothing that it made may be used.", "" else empty end),
  (del(.steps) | result_lines("")),
  (.steps[] | step_lines);

# The record, of the journal's lines.
def record_of_journal($outcome; $attestation):
  . as $all | .[0] as $opened
  | {format: "qscd-ceremony 1", ceremony: $opened.ceremony, rehearsal: $opened.rehearsal,
     attended: all($all[] | select(.event == "opened" or .event == "resumed"); .attended),
     outcome: $outcome, host: $opened.host, software: $opened.software, officers: $opened.officers,
     witnesses: ([$all[] | select(.witnesses) | .witnesses[]] | unique), previous: $opened.previous,
     settings: $opened.settings, opened: $opened.at,
     resumed: [$all[] | select(.event == "resumed") | {at, software, witnesses}],
     finished: ([$all[] | select(.event == "finished" or .event == "undone") | .at] | last),
     attestation: $attestation,
     steps: [[$all[] | select(.event == "done")] | to_entries[] | .key as $key | .value as $done
             | $done | del(.event)
             | . + {number: ($key + 1),
                    begun: [$all[] | select(.event == "begun" and .step == $done.step) | .at]}]};

# What is wrong in the record itself, signatures aside; null when nothing is.
def wrong_in_record:
  (.officers | map(.name)) as $names
  | if .format != "qscd-ceremony 1" or (.ceremony | IN("tokens", "infrastructure", "authorities") | not)
       or (.outcome | IN("finished", "undone") | not) then "it is of another form"
    elif ($names | length) < 2 then "fewer than two officers"
    elif ($names | unique | length) < ($names | length) then "an officer is named twice"
    elif ([.officers[].public_key_sha256] | unique | length) < ($names | length) then "two officers have one key"
    elif .attended and (all(.steps[]; .confirmed == $names) | not) then "a step was not confirmed by all officers"
    elif .attestation.attestation_key_sha256 as $key
         | any(.steps[].result.genesis // empty; $key != null and .attestation_key_sha256 != $key)
    then "the genesis names another attestation key"
    else null end;
