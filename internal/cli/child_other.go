//go:build !linux

package cli

import "syscall"

// dieWithParent has nothing to ask of this kernel: a command outlives a parent that
// is killed.
func dieWithParent(*syscall.SysProcAttr) {}
