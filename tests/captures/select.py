#!/usr/bin/env python3
"""Chooses the subset of the recorded exchanges that lies beside this file.

    python3 tests/captures/select.py FOLDER_OF_ALL_RECORDINGS

Deterministic: of each (version, config, reason, status, shape of the body, spelling of the credential, where it matters) the first by
id stays, and of each (version, config, status) without a reason the first four. Long bodies are cut, and say so.
"""
import json
import pathlib
import re
import sys

LONGEST_BODY = 1200
WITHOUT_REASON = 4
BORING = {"user-agent", "accept", "accept-encoding"}
BY_CREDENTIAL = {"credential_missing", "credential_not_recognised", "token_malformed", "token_wrong_kind",
                 "token_unknown", "unauthorized_unexplained", "password_wrong"}


def shape(line):
    request, response = line["request"], line["response"]
    names = {name.lower(): value for name, value in request.get("headers", [])}
    authorization = re.sub(r"[A-Za-z0-9+/_=-]{12,}.*", "…", names.get("authorization", "-"))
    body = re.sub(r"\d+|[a-z.]+:[a-z.]+(, )?|\\u?\w+|ACE\w+", "", response.get("body", ""))[:70]
    route = "/".join(request.get("target", "raw").split("?")[0].split("/")[:2])
    if line["expect"]["reason"] is None:
        return (line["grafana"], line["config"], None, response["status"])
    if line["expect"]["reason"] not in BY_CREDENTIAL:
        authorization = authorization.split(" ")[0].lower()
    return (line["grafana"], line["config"], line["expect"]["reason"], response["status"], body, authorization, route,
            "cookie" in names)


def cut(line):
    response = line["response"]
    length = len(response.get("body", "").encode())
    if length > LONGEST_BODY:
        response["body"] = response["body"].encode()[:LONGEST_BODY].decode(errors="ignore")
        response.setdefault("body_length", length)
        response["body_truncated"] = True
    request = line["request"]
    if "headers" in request:
        request["headers"] = [pair for pair in request["headers"] if pair[0].lower() not in BORING]
    return line


def main():
    source, target = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent
    total = 0
    for path in sorted(source.glob("*.jsonl")):
        kept, taken = [], {}
        lines = [json.loads(text) for text in path.read_text().splitlines()]
        for line in sorted(lines, key=lambda line: (line["config"], line["id"])):
            key = shape(line)
            taken[key] = taken.get(key, 0) + 1
            if taken[key] <= (WITHOUT_REASON if line["expect"]["reason"] is None else 1):
                kept.append(json.dumps(cut(line), ensure_ascii=False, separators=(",", ":")))
        (target / path.name).write_text("\n".join(kept) + "\n")
        total += sum(len(text.encode()) + 1 for text in kept)
        print(f"{path.name}: {len(kept)} of {len(lines)}")
    print(f"{total} bytes")


main()
