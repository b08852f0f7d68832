//go:build !windows

package restic

import (
	"os"
	"os/exec"
)

// givePassword hands the password over on file 3: it is in no argument, no
// environment and no file.
func givePassword(c *exec.Cmd, password string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	if _, err := w.WriteString(password + "\n"); err != nil { // a pipe holds far more
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	c.ExtraFiles = append(c.ExtraFiles, r)
	c.Env = append(c.Env, "RESTIC_PASSWORD_FILE=/dev/fd/3")
	return nil
}

func interrupt(p *os.Process) error { return p.Signal(os.Interrupt) }
