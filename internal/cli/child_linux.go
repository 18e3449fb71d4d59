package cli

import "syscall"

// dieWithParent makes the kernel kill the command when we die, however we do.
// Processes that it has started are not reached by this.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
