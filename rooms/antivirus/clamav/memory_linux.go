package clamav

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// memoryPlaces are where plain temporary files may lie: in memory, on no disk.
var memoryPlaces = []string{"/dev/shm", "/run/shm", "/run"}

// memory finds such a place; ErrNoMemoryPlace where there is none.
func memory() (string, error) {
	for _, dir := range memoryPlaces {
		var s unix.Statfs_t
		if unix.Statfs(dir, &s) != nil || int64(s.Type) != unix.TMPFS_MAGIC {
			continue
		}
		if unix.Access(dir, unix.W_OK|unix.X_OK) == nil {
			return dir, nil
		}
	}
	return "", ErrNoMemoryPlace
}

// engineUser is a number that no account has, from the range from which systemd
// draws users for a moment: what takes strangers' files apart owns nothing here.
const engineUser = 61378

// confine runs the engine under a user of its own where the program is root, and
// has it end with the program.
func confine(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: engineUser, Gid: engineUser}
	}
	if cmd.Cancel != nil { // made with a context: that ends all its children too
		cmd.Cancel = func() error { end(cmd); return nil }
	}
}

// end kills a program and all its children.
func end(cmd *exec.Cmd) { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } //nolint:errcheck // it may be dead

// bounded is how a program is started with at most so many bytes for data, and
// without core dumps: what it holds in memory is somebody's file. The limits are
// set by the child itself before it becomes the program: root without its
// capabilities could not set them from outside.
func bounded(memory uint64, program string, args ...string) (string, []string) {
	script := fmt.Sprintf(`ulimit -c 0 && ulimit -d %d && exec "$0" "$@"`, memory>>10)
	return "/bin/sh", append([]string{"-c", script, program}, args...)
}

// giveAway lets the engine's user have a file or folder.
func giveAway(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return os.Lchown(path, engineUser, engineUser)
}

// alive tells whether a process is there.
func alive(pid int) bool { return unix.Kill(pid, 0) != unix.ESRCH }
