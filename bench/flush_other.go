//go:build !linux

package main

import "os"

// flush returns when what was written to f is on disk.
func flush(f *os.File) error { return f.Sync() }
