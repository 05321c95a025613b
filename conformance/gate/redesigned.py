"""The redesigned suite: judged by results.yaml, since its exit code is 0 even when it could not start."""

import os
import re
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from .verdict import Row, Verdict

TIMEOUT = 900

APIS = [
    "Ping", "Blob push", "Blob post only", "Blob post put", "Blob chunked", "Blob streaming", "Blob mount",
    "Blob anonymous mount", "Blob upload cancel", "Blob get", "Blob get range", "Blob head", "Blob delete",
    "Blob delete atomic", "Manifest put by digest", "Manifest put by tag", "Manifest put with tag params",
    "Manifest put with subject", "Manifest get by digest", "Manifest get by tag", "Manifest head by digest",
    "Manifest head by tag", "Manifest delete", "Manifest delete atomic", "Tag listing", "Tag delete",
    "Tag delete atomic", "Referrers",
]

# The dev run pushes manifests whose blobs are missing, which the server takes only when told to;
# the stable run is against the server as it comes.
SERVER_FLAGS = {"dev": ["--allow-sparse"], "stable": []}

# `OCI_VERSION=stable` leaves out what the released specification does not have. It is switched on again, so
# that no API is Disabled in either run; only the sparse data stays with dev, whose server takes it.
SETTINGS = {
    "dev": {"OCI_DATA_SPARSE": "true"},
    "stable": {"OCI_API_BLOBS_UPLOAD_CANCEL": "true", "OCI_API_MANIFESTS_TAG_PARAM": "true"},
}
NOT_IN_STABLE = {"Sparse Manifests"}

# The API a request of the suite's junit.xml belongs to, by the end of its name; the counts in
# the table come from here. `Blob push` and the atomic deletes are verdicts over several requests.
REQUESTS = [
    (r"/ping$", "Ping"),
    (r"/blob-post-only$", "Blob post only"),
    (r"/blob-post-put$", "Blob post put"),
    (r"/blob-patch-chunked$", "Blob chunked"),
    (r"/blob-patch-stream$", "Blob streaming"),
    (r"/blob-mount-anonymous$", "Blob anonymous mount"),
    (r"/blob-mount$", "Blob mount"),
    (r"/blob-post-cancel$", "Blob upload cancel"),
    (r"/(blob-get|get-missing)$", "Blob get"),
    (r"/range [0-9-]+$", "Blob get range"),
    (r"/blob-head$", "Blob head"),
    (r"/blob-delete$", "Blob delete"),
    (r"tag-param-[^/]*/push/manifest-by-digest$", "Manifest put with tag params"),
    (r"/push/manifest-by-digest$", "Manifest put by digest"),
    (r"/push/manifest-by-tag$", "Manifest put by tag"),
    (r"/manifest-by-digest$", "Manifest get by digest"),
    (r"/manifest-by-tag$", "Manifest get by tag"),
    (r"/manifest-head-by-digest$", "Manifest head by digest"),
    (r"/manifest-head-by-tag$", "Manifest head by tag"),
    (r"/manifest-delete$", "Manifest delete"),
    (r"/tag[ -]list$", "Tag listing"),
    (r"/tag-delete$", "Tag delete"),
    (r"/referrers$", "Referrers"),
]


def run(binary, address, version, title):
    with tempfile.TemporaryDirectory(prefix=f"conformance-{version}-") as reports:
        env = {k: v for k, v in os.environ.items() if not k.startswith("OCI_")} | {
            "OCI_VERSION": version,
            "OCI_REGISTRY": address,
            "OCI_TLS": "disabled",
            "OCI_REPO1": "conformance/one",
            "OCI_REPO2": "conformance/two",
            "OCI_RESULTS_DIR": reports,
        } | SETTINGS[version]
        try:
            done = subprocess.run(
                [binary], cwd=reports, env=env, timeout=TIMEOUT, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            )
        except subprocess.TimeoutExpired:
            return Verdict(title, problems=[f"the suite did not end within {TIMEOUT} s"])
        written = [path.read_text() if path.exists() else None
                   for path in (Path(reports) / "results.yaml", Path(reports) / "junit.xml")]
        return judge(title, version, *written, done.returncode, done.stdout)


def judge(title, version, results, junit, code, output):
    verdict = Verdict(title)
    if results is None or junit is None:
        verdict.problems.append(f"no results.yaml or junit.xml was written (suite exit code {code})\n{output[-4000:]}")
        return verdict
    off = NOT_IN_STABLE if version == "stable" else set()
    apis = statuses(results, "apis")
    rows = {name: Row(name, apis.get(name, "missing")) for name in [*APIS, *sorted(set(apis) - set(APIS))]}
    for case in ElementTree.fromstring(junit).iter("testcase"):
        _count(case, rows, off, verdict)
    verdict.rows = list(rows.values())
    for row in verdict.rows:
        _expect_pass(f"API {row.name}", row.name, row.status, off, verdict)
    data = statuses(results, "data")
    if not data:
        verdict.problems.append("results.yaml has no entry under data")
    for name, status in data.items():
        _expect_pass(f"data set {name}", name, status, off, verdict)
    if code != 0 and verdict.ok():
        verdict.problems.append(f"the suite exited with {code} although nothing failed\n{output[-4000:]}")
    return verdict


def statuses(results, section):
    """One flat `name: status` map of results.yaml: all the YAML this needs."""
    found, inside = {}, False
    for line in results.splitlines():
        if not line.startswith(" "):
            inside = line.rstrip() == f"{section}:"
        elif inside:
            name, _, status = line.strip().rpartition(": ")
            found[name.strip("'\"")] = status
    return found


def _expect_pass(what, name, status, off, verdict):
    if status != "Pass" and not (status == "Disabled" and name in off):
        verdict.problems.append(f"{what}: {status}, expected Pass")


def _count(case, rows, off, verdict):
    name, status = case.get("name", ""), case.get("status")
    api = next((api for pattern, api in REQUESTS if re.search(pattern, name)), None)
    row = rows.get(api) or Row("", "")
    if status == "passed":
        row.passed += 1
        verdict.passed += 1
    elif status == "skipped" and api in off:
        row.skipped += 1
    else:
        if status == "skipped":
            row.skipped += 1
        else:
            row.failed += 1
        why = (case.findtext("system-out") or "").strip().splitlines()
        verdict.problems.append(f"{name}: {status}" + "".join(f"\n    {line}" for line in why[:10]))
