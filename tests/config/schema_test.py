#!/usr/bin/env python3
"""The published schema and the parser say the same: schema_test.py PROBE SCHEMA EXAMPLE SAMPLES_FOLDER.

Both have the same keys, limits and choices; both accept the example and every good_*.yaml of the samples, and both refuse
every bad_*.yaml. What only the parser can see (references, sizes) is no sample of this test.
"""
import json
import pathlib
import subprocess
import sys

import jsonschema
import yaml

PATTERNS = {  # pattern in the parser's key table -> where the schema has it
    "": [],
    "reactors": ["properties", "reactors"],
    "metrics": ["properties", "metrics"],
    "control": ["properties", "control"],
    "scrub": ["properties", "scrub"],
    "log": ["properties", "log"],
    "iscsi": ["properties", "iscsi"],
    "iscsi.discovery_chap": ["$defs", "chap"],
    "listeners.*": ["$defs", "listener"],
    "listeners.*.iscsi": ["$defs", "listener_iscsi"],
    "cache_devices.*": ["$defs", "cache_device"],
    "pools.*": ["$defs", "pool"],
    "volumes.*": ["$defs", "volume"],
    "volumes.*.cache": ["$defs", "volume_cache"],
    "volumes.*.qos": ["$defs", "volume_qos"],
    "volumes.*.overload": ["$defs", "volume_overload"],
    "hosts.*": ["$defs", "host"],
    "hosts.*.chap": ["$defs", "chap"],
    "hosts.*.dhchap": ["$defs", "dhchap"],
    "hosts.*.dhchap.previous": ["$defs", "dhchap", "properties", "previous"],
    "subsystems.*": ["$defs", "subsystem"],
    "subsystems.*.namespaces.*": ["$defs", "export"],
    "targets.*": ["$defs", "target"],
    "targets.*.chap": ["$defs", "chap"],
    "targets.*.luns.*": ["$defs", "export"],
}

failures = []


def expect(condition, text):
    if not condition:
        failures.append(text)


def section_at(schema, steps):
    for step in steps:
        schema = schema[step]
    return schema


def key_table(probe):
    """{pattern: {key: (need, min, max, choices)}}"""
    table = {}
    for line in subprocess.run([probe, "keys"], check=True, capture_output=True, text=True).stdout.splitlines():
        pattern, key, _, need, low, high, choices = line.split("\t")
        table.setdefault(pattern, {})[key] = (need, int(low), int(high), choices.split(",") if choices else [])
    return table


def compare_keys(schema, table):
    expect(set(table) == set(PATTERNS), f"sections of the parser {sorted(table)}, of this test {sorted(PATTERNS)}")
    for pattern, keys in table.items():
        section = section_at(schema, PATTERNS[pattern])
        where = pattern or "top level"
        served = set(keys)
        expect(section["additionalProperties"] is False, f"{where}: the schema admits unknown keys")
        expect(served == set(section["properties"]),
               f"{where}: keys of the parser {sorted(served)}, of the schema {sorted(section['properties'])}")
        required = {key for key, rule in keys.items() if rule[0] == "required"}
        expect(required == set(section.get("required", [])),
               f"{where}: required by the parser {sorted(required)}, by the schema {sorted(section.get('required', []))}")
        for key in served & set(section["properties"]):
            compare_rule(f"{where}: {key}", section["properties"][key], keys[key])


def compare_rule(where, rule, parsed):
    _, low, high, choices = parsed
    expect("description" in rule, f"{where}: no description for editors")
    if "enum" in rule or choices:
        expect([str(value) for value in rule.get("enum", [])] == choices, f"{where}: choices {choices} in the parser, {rule.get('enum')} in the schema")
        return
    limits = rule.get("items", {}) if rule.get("type") == "array" else rule
    if rule.get("type") == "integer" or limits.get("type") == "integer":
        expect((limits["minimum"], limits["maximum"]) == (low, high),
               f"{where}: {low}..{high} in the parser, {limits['minimum']}..{limits['maximum']} in the schema")


class StringKeys(yaml.SafeLoader):
    """JSON has only string keys: NSIDs are 1 in YAML and "1" for the schema."""


def map_with_string_keys(loader, node):
    return {str(loader.construct_object(key)): loader.construct_object(value, deep=True) for key, value in node.value}


StringKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, map_with_string_keys)


def compare_verdicts(validator, probe, files):
    answer = subprocess.run([probe, "check", *files], check=True, capture_output=True, text=True).stdout
    verdicts = {}
    for line in answer.splitlines():
        word, _, name = line.partition("\t")
        if word in ("good", "bad"):
            verdicts[name] = word
    for name in files:
        with open(name, encoding="utf-8") as stream:
            errors = [error.message for error in validator.iter_errors(yaml.load(stream, StringKeys))]
        wanted = "bad" if pathlib.Path(name).name.startswith("bad_") else "good"
        expect(verdicts.get(name) == wanted, f"{name}: the parser says {verdicts.get(name)}:\n{answer}")
        expect(bool(errors) == (wanted == "bad"), f"{name}: the schema says {errors or 'good'}")


def main():
    probe, schema_file, example, samples = sys.argv[1:]
    with open(schema_file, encoding="utf-8") as stream:
        schema = json.load(stream)
    jsonschema.Draft202012Validator.check_schema(schema)
    compare_keys(schema, key_table(probe))
    files = sorted(str(path) for path in pathlib.Path(samples).glob("*.yaml"))
    expect(len(files) > 10, f"{samples}: hardly any samples")
    compare_verdicts(jsonschema.Draft202012Validator(schema), probe, [example, *files])
    for failure in failures:
        print(failure)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
