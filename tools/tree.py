# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files of the tree, for the checks beside it: no build folders, nothing of git."""

import os


def files(root, *suffixes):
    """Paths relative to @root, sorted; only those that end in one of @suffixes, if any are given."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [d for d in folders if not d.startswith('build') and d not in
                      ('.git', '.cache', '__pycache__', 'subprojects')]
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), root)
            if name != '.git' and (not suffixes or path.endswith(suffixes)):
                found.append(path)
    return sorted(found)


def text(root, path):
    """The file's text, or None if it is not UTF-8."""
    try:
        with open(os.path.join(root, path), encoding='utf-8') as f:
            return f.read()
    except UnicodeDecodeError:
        return None
