//go:build linux || darwin || freebsd || openbsd || netbsd

package chrome

import (
	"os"
	"os/exec"
	"syscall"
)

// browserUser is a number that no account has: it is in the range from which
// systemd draws users for a moment. What runs under it owns nothing here.
const browserUser = 61377

// ownUser runs the browser under a user of its own where the program is root.
func ownUser(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: browserUser, Gid: browserUser, NoSetGroups: false}
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // with all its children
}

// giveAway lets the browser's user into its profile.
func giveAway(above, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := os.Chmod(above, 0o711); err != nil { //nolint:gosec // a way through; there is nothing to list
		return err
	}
	return os.Chown(dir, browserUser, browserUser)
}
