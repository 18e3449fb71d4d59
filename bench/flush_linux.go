package main

import (
	"os"
	"syscall"
)

// flush returns when what was written to f is on disk.
func flush(f *os.File) error {
	for {
		// A signal may come in between: Go's own does, for preemption.
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
