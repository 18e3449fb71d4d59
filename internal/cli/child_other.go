//go:build !linux

package cli

import (
	"os/exec"
	"syscall"
)

// dieWithParent has nothing to ask of this kernel: a command outlives a parent that
// is killed.
func dieWithParent(*syscall.SysProcAttr) {}

// waitResting is cmd.Wait, and then rest.
func waitResting(cmd *exec.Cmd, rest func()) error {
	err := cmd.Wait()
	rest()
	return err
}
