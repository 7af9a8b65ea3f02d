# SPDX-License-Identifier: LGPL-2.1-or-later
"""The subcommands of a program that is built, as its --help tells them: for the checks beside it."""

import re
import subprocess


def run(*argv):
    """Exit status, standard output, standard error."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def help_texts(program, path=()):
    """(command words, help text) of @path and all that is below it."""
    text = run(program, *path, '--help')[1]
    yield path, text
    prefix = ' '.join(('assay',) + path)
    below = re.findall(r'^  (\S+)  +\S', text, re.M) if not path else \
        re.findall(r'^  ' + re.escape(prefix) + r' (\S+)', text, re.M)
    for name in below:
        if not name.startswith('-'):
            yield from help_texts(program, path + (name,))


def runs(path, text):
    """Whether @path does something itself, and is not only what its subcommands stand under."""
    return bool(path) and not text.startswith(f'usage: assay {" ".join(path)} COMMAND ')
