#!/usr/bin/python3
"""Works two methods of a Longrun server, until SIGTERM or SIGINT.

checksum    {"path": FOLDER} -> {"files": N, "bytes": N, "sha256": HEX}
await-file  {"path": FILE}   -> {"bytes": N}, as soon as there is such a file
"""

import argparse
import hashlib
import logging
import os
import signal
import threading

import longrun


def text(request, field):
    """A field of the request that must be a text."""
    value = request.get(field)
    if not isinstance(value, str) or not value:
        raise longrun.Failure(longrun.INVALID_ARGUMENT, f"{field} is required")
    return value


def checksum(run, request):
    """The SHA-256 of all files of a folder: of their names and sums, sorted by name."""
    root = text(request, "path")
    if not os.path.isdir(root):
        raise longrun.Failure(longrun.INVALID_ARGUMENT, "path is not a folder")
    paths = sorted(os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names)
    total, size = hashlib.sha256(), 0
    for i, path in enumerate(paths):
        one = hashlib.sha256()
        with open(path, "rb") as f:
            while block := f.read(1 << 20):
                run.check()
                one.update(block)
                size += len(block)
        total.update(f"{one.hexdigest()}  {os.path.relpath(path, root)}\n".encode())
        run.progress(i + 1, len(paths), "summing")
    return {"files": len(paths), "bytes": size, "sha256": total.hexdigest()}


def await_file(run, request):
    """Waits for a file to arrive."""
    path = text(request, "path")
    run.progress(0, 1, "waiting")
    while not os.path.exists(path):
        run.sleep(0.5)
    return {"bytes": os.path.getsize(path)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="127.0.0.1:9151", help="address of the server")
    parser.add_argument("--concurrency", type=int, default=8, help="operations at a time")
    parser.add_argument("--ttl", type=float, default=30, help="seconds after which a silent worker is given up")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    worker = longrun.Worker(args.server, {"checksum": checksum, "await-file": await_file}, args.concurrency, args.ttl)
    # A handler runs in the middle of whatever this thread does. So it takes no lock,
    # and the work is done by another thread.
    asked = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: asked.append(number))
    works = threading.Thread(target=worker.run)
    works.start()
    while works.is_alive() and not asked:
        works.join(0.2)
    if asked:
        logging.info("stopping")
        worker.stop()
    works.join()


if __name__ == "__main__":
    main()
