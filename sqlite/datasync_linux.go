package sqlite

import (
	"errors"
	"os"
	"syscall"
)

// datasync makes what was written to f durable, and of what is known about f only
// what is needed to read it.
func datasync(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
