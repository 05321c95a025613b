"""The suite before its redesign: all four workflows on, judged by its junit.xml."""

import os
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from .verdict import Row, Verdict

SUITE = "OCI Distribution Conformance Tests "
WORKFLOWS = ["Pull", "Push", "Content Discovery", "Content Management"]
SPECS = 79
TIMEOUT = 600

# Specs that skip themselves on a registry that does everything right. Each is one half of a
# pair of which the suite runs only the other half; nothing else may skip.
SKIPS_BY_DESIGN = {
    "Pull Setup Get tag name from environment":
        "runs only when OCI_TAG_NAME names content pushed beforehand; the set-up that pushes runs in its place",
    "Content Discovery Setup Populate registry with test tags (no push)":
        "runs only when OCI_TAG_LIST names tags pushed beforehand; the set-up that pushes runs in its place",
    "Push Cross-Repository Blob Mount Cross-mounting of nonexistent blob should yield session id":
        "the branch for a mount answered 202; ours answers 201 and runs the spec before it",
    "Push Cross-Repository Blob Mount Cross-mounting without from, and automatic content discovery disabled should return a 202":
        "the opposite of OCI_AUTOMATIC_CROSSMOUNT=1, which we claim and which is tested",
}


def run(binary, address, title):
    with tempfile.TemporaryDirectory(prefix="conformance-ginkgo-") as reports:
        env = {k: v for k, v in os.environ.items() if not k.startswith("OCI_")} | {
            "OCI_ROOT_URL": f"http://{address}",
            "OCI_NAMESPACE": "conformance/one",
            "OCI_CROSSMOUNT_NAMESPACE": "conformance/two",
            "OCI_TEST_PULL": "1",
            "OCI_TEST_PUSH": "1",
            "OCI_TEST_CONTENT_DISCOVERY": "1",
            "OCI_TEST_CONTENT_MANAGEMENT": "1",
            "OCI_AUTOMATIC_CROSSMOUNT": "1",
            "OCI_REPORT_DIR": reports,
        }
        try:
            done = subprocess.run(
                [binary, "-ginkgo.no-color"], cwd=reports, env=env, timeout=TIMEOUT, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            )
        except subprocess.TimeoutExpired:
            return Verdict(title, problems=[f"the suite did not end within {TIMEOUT} s"])
        junit = Path(reports) / "junit.xml"
        return judge(title, junit.read_text() if junit.exists() else None, done.returncode, done.stdout)


def judge(title, junit, code, output):
    verdict = Verdict(title)
    if junit is None:
        verdict.problems.append(f"no junit.xml was written (suite exit code {code})\n{output}")
        return verdict
    rows = {name: Row(name, "Pass") for name in WORKFLOWS}
    specs = 0
    for case in ElementTree.fromstring(junit).iter("testcase"):
        if not case.get("name", "").startswith(SUITE):
            continue  # the suite's report writers are test cases too
        specs += 1
        name = case.get("name").removeprefix(SUITE)
        row = next(row for workflow, row in rows.items() if name.startswith(workflow))
        status = case.get("status")
        if status == "passed":
            row.passed += 1
        elif status == "skipped" and name in SKIPS_BY_DESIGN:
            row.skipped += 1
        elif status == "skipped":
            row.skipped += 1
            verdict.problems.append(f"skipped: {name}")
            row.status = "Skip" if row.status == "Pass" else row.status
        else:
            row.failed += 1
            row.status = "FAIL"
            verdict.problems.append(f"{name}\n{_why(case)}")
    verdict.rows = list(rows.values())
    verdict.passed = sum(row.passed for row in verdict.rows)
    if specs != SPECS:
        verdict.problems.append(f"the suite has {SPECS} specs, its report has {specs}")
    # The suite is lenient in two places: it warns about an unsupported feature and passes.
    verdict.problems += [line.strip() for line in output.splitlines() if line.strip().startswith("WARNING:")]
    if code != 0 and verdict.ok():
        verdict.problems.append(f"the suite exited with {code} although no spec failed\n{output[-4000:]}")
    return verdict


def _why(case):
    message = "\n".join(child.get("message", "") for child in case if child.tag in ("failure", "error"))
    return "\n".join("    " + line for line in message.splitlines()[:30])
