#!/usr/bin/env python3
"""Checks the English of the project's prose files.

A file passes when its sentences have at most 20 words on average, none has more than 45, and no
phrase of `PHRASES` stands in it. Code blocks, tables, headings and links' targets are passed over.

    python3 tools/prose.py            # every Markdown file that git tracks
    python3 tools/prose.py README.md  # some

Prints a line per finding, and exits with 1 when there is one.
"""

import pathlib
import re
import subprocess
import sys

AVERAGE = 20
LONGEST = 45

# What a reader has to read twice, and what to write instead.
PHRASES = {
    r"(?<!\bthere )\b(is|are|was|were) no (?!longer|more|less|fewer|faster|slower|worse|better)\w+": "is not a …",
    r"\bwas wanted\b": "state the figure, not the target",
    r"\bis reached\b": "state the figure, not the target",
    r"\bmusts\b": "requirements",
    r"\bof its own\b": "its own …, or nothing",
    r"\bwhat there is\b": "name the noun",
    r"\band said so\b": "and the report says so",
    r"\bno such\b": "name the noun",
    r"\bthose that\b": "name the noun",
    r"\bthat which\b": "name the noun",
    r"\bat hand\b": "available",
    r"(?<![.`\w])\bThe same,": "name the noun",
}

# Files whose content is a record and not a text to be read from top to bottom.
RECORDS = {"CHANGELOG.md", "weights/CHANGELOG.md", "docs/performance-notes.md"}


def sentences(text):
    """Yields (line, sentence) of the running text of a Markdown file."""
    fenced = False
    paragraph, start = [], 0

    def split(paragraph, start):
        joined = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(paragraph))
        joined = re.sub(r"`[^`]*`", "Code", joined)
        for sentence in re.split(r"(?<=[.!?:;])\s+(?=[A-Z*\"'(0-9])", joined):
            if len(re.findall(r"[A-Za-z]{2,}", sentence)) > 1:
                yield start, sentence

    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith(("```", "~~~")):
            fenced = not fenced
            stripped = ""
        starts_item = re.match(r"([-*+]|\d+\.)\s", stripped)
        apart = fenced or not stripped or stripped.startswith(("#", "|", "<", "![", "    "))
        if (apart or starts_item) and paragraph:
            yield from split(paragraph, start)
            paragraph = []
        if not apart:
            if not paragraph:
                start = number
            paragraph.append(re.sub(r"^([-*+]|\d+\.)\s+", "", stripped))
    if paragraph:
        yield from split(paragraph, start)


def words(sentence):
    return len(re.findall(r"[\w'’×/.,%-]*\w[\w'’×/.,%-]*", sentence))


def check(path):
    found = []
    counts = []
    for line, sentence in sentences(path.read_text(encoding="utf-8")):
        count = words(sentence)
        counts.append(count)
        if count > LONGEST:
            found.append(f"{path}:{line}: {count} words in one sentence: {sentence[:60]}…")
        for phrase, instead in PHRASES.items():
            match = re.search(phrase, sentence)
            if match:
                found.append(f"{path}:{line}: “{match.group()}” → {instead}")
    if counts and sum(counts) / len(counts) > AVERAGE:
        mean = sum(counts) / len(counts)
        found.append(f"{path}: sentences have {mean:.1f} words on average, more than {AVERAGE}")
    return found


def main():
    names = sys.argv[1:]
    if not names:
        listed = subprocess.run(
            ["git", "ls-files", "*.md"], check=True, capture_output=True, text=True
        )
        names = [name for name in listed.stdout.splitlines() if name not in RECORDS]
    found = [line for name in names for line in check(pathlib.Path(name))]
    print("\n".join(found + [f"prose: {len(names)} files, {len(found)} findings"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
