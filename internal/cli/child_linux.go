package cli

import (
	"os/exec"
	"syscall"
	"unsafe"
)

// dieWithParent makes the kernel kill the command when we die, however we do.
// Processes that it has started are not reached by this.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// waitResting is cmd.Wait, with rest called after cmd has ended and before it is
// reaped: until then nobody else gets its process id.
func waitResting(cmd *exec.Cmd, rest func()) error {
	const byPid = 1     // P_PID of waitid(2)
	var info [16]uint64 // a siginfo_t has 128 bytes
	for {
		_, _, e := syscall.Syscall6(syscall.SYS_WAITID, byPid, uintptr(cmd.Process.Pid), uintptr(unsafe.Pointer(&info[0])),
			syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if e != syscall.EINTR {
			break // the one other error is that it is reaped already
		}
	}
	rest()
	return cmd.Wait()
}
