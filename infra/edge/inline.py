#!/usr/bin/env python3
"""Puts viewer-request.js into template.yaml: CloudFormation takes a CloudFront Function's code inline only.

Run it after every change of the file. A test of shared/runtime (architecture) fails while the two differ.
"""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
TEMPLATE = FOLDER.parent.parent / "template.yaml"
START = "      FunctionCode: | # infra/edge/viewer-request.js, put here by infra/edge/inline.py\n"
END = "      # the end of infra/edge/viewer-request.js\n"


def main() -> None:
    code = (FOLDER / "viewer-request.js").read_text()
    lines = "".join(f"        {line}" if line.strip() else line for line in code.splitlines(keepends=True))
    before, rest = TEMPLATE.read_text().split(START)
    _, after = rest.split(END)
    TEMPLATE.write_text(before + START + lines + END + after)


if __name__ == "__main__":
    main()
