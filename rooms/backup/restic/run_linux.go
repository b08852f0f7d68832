package restic

import (
	"os/exec"
	"runtime"
	"syscall"
)

// runTied runs a program that ends with this process, also if that is killed: one
// that goes on alone would write into what the next run begins anew. The kernel
// ties it to the thread that started it (prctl(2), PR_SET_PDEATHSIG).
func runTied(c *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c.Run()
}
