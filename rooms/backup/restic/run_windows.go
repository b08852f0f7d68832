package restic

import (
	"os"
	"os/exec"
)

// givePassword uses the environment: Windows has no /dev/fd.
func givePassword(c *exec.Cmd, password string) error {
	c.Env = append(c.Env, "RESTIC_PASSWORD="+password)
	return nil
}

func interrupt(p *os.Process) error { return p.Kill() }
