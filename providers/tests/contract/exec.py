"""A program for the `exec` provider: hands the record to `nsupdate`."""

import json
import os
import subprocess
import sys

EX_TEMPFAIL, EX_NOPERM = 75, 77


def quoted(value):
    """TXT data in presentation format: strings of at most 255 octets, what is not plain as \\DDD."""
    octets = value.encode()
    strings = [octets[start:start + 255] for start in range(0, len(octets), 255)] or [b""]
    plain = lambda octet: chr(octet) if chr(octet).isalnum() and octet < 128 else "\\%03d" % octet
    return " ".join('"' + "".join(map(plain, string)) + '"' for string in strings)


def lines(verb, record):
    yield "server {SERVER} {PORT}".format(**os.environ)
    yield "key {KEY}".format(**os.environ)
    yield f"zone {record['zone']}."
    if verb == "present":
        yield f"update add {record['name']}. {record['ttl']} TXT {quoted(record['value'])}"
    else:
        yield f"update delete {record['name']}. TXT {quoted(record['value'])}"
    yield "send\n"


def main():
    verb, record = sys.argv[1], json.load(sys.stdin)
    assert verb in ("present", "withdraw") and record["schema"] == 1
    script = "\n".join(lines(verb, record))
    done = subprocess.run([os.environ["NSUPDATE"], "-v"], input=script, text=True, capture_output=True)
    sys.stderr.write(done.stderr)
    if done.returncode == 0:
        return 0
    if "NOTAUTH" in done.stderr or "REFUSED" in done.stderr:
        return EX_NOPERM
    return EX_TEMPFAIL


sys.exit(main())
