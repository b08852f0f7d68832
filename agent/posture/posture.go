package posture

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"quietroom/agent"
	"quietroom/rooms/devices/wire"
)

// Checks are what this version looks at on a system. On Windows it looks at
// nothing yet; on macOS the collectors were not run on a real Mac.
func Checks(system string) []agent.Check {
	switch system {
	case "linux":
		return []agent.Check{
			{Name: wire.DiskEncrypted, Every: time.Minute, Look: func(context.Context) agent.Finding { return linuxDisk(os.DirFS("/")) }},
			{Name: wire.Firewall, Every: time.Minute, Files: []string{"/etc/ufw/ufw.conf"}, Look: linuxFirewall},
			{Name: wire.Updates, Every: 6 * time.Hour, Slow: true, Files: []string{"/var/lib/dpkg/status", "/var/lib/apt/lists"}, Look: linuxUpdates},
			{Name: wire.SecureBoot, Every: time.Hour, Look: func(context.Context) agent.Finding { return linuxSecureBoot(os.DirFS("/")) }},
			{Name: wire.RemoteTools, Every: 30 * time.Second, Look: func(context.Context) agent.Finding { return linuxPrograms(os.DirFS("/")) }},
		}
	case "darwin":
		return []agent.Check{
			{Name: wire.DiskEncrypted, Every: time.Minute, Look: command(parseFileVault, "/usr/bin/fdesetup", "status")},
			{Name: wire.Firewall, Every: time.Minute, Look: command(parseSocketFilter, "/usr/libexec/ApplicationFirewall/socketfilterfw", "--getglobalstate")},
			{Name: wire.Integrity, Every: time.Hour, Look: command(parseSIP, "/usr/bin/csrutil", "status")},
			{Name: wire.Gatekeeper, Every: time.Hour, Look: command(parseGatekeeper, "/usr/sbin/spctl", "--status")},
		}
	}
	return nil
}

// command runs a program of the system, in English, and reads its answer.
func command(read func(string) agent.Finding, name string, args ...string) func(context.Context) agent.Finding {
	return func(ctx context.Context) agent.Finding {
		out, err := run(ctx, name, args...)
		if err != nil && out == "" {
			return unknown(name + " could not be asked.")
		}
		return read(out)
	}
}

func run(ctx context.Context, name string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), "LC_ALL=C", "LANG=C")
	c.WaitDelay = time.Second
	out, err := c.CombinedOutput()
	return string(out), err
}

func linuxFirewall(ctx context.Context) agent.Finding {
	out, err := run(ctx, "ufw", "status", "verbose")
	if errors.Is(err, exec.ErrNotFound) {
		return unknown("No firewall that is known here (ufw) is installed.")
	}
	return parseUFW(out)
}

func linuxUpdates(ctx context.Context) agent.Finding {
	info, err := os.Stat("/var/lib/apt/lists")
	if err != nil {
		return unknown("Updates of this kind of Linux are not known here.")
	}
	out, err := run(ctx, "apt-get", "-s", "-q", "upgrade")
	if err != nil {
		return unknown("apt could not be asked.")
	}
	return parseApt(out, time.Since(info.ModTime()))
}

func linuxSecureBoot(root fs.FS) agent.Finding {
	if _, err := fs.Stat(root, "sys/firmware/efi"); err != nil {
		return unknown("This computer was not started by EFI, so it has no Secure Boot to be asked.")
	}
	b, err := fs.ReadFile(root, "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")
	if err != nil {
		return unknown("The firmware’s answer cannot be read.")
	}
	return parseSecureBoot(b)
}

// linuxPrograms lists the names under which programs run; arguments are not read.
func linuxPrograms(root fs.FS) agent.Finding {
	files, err := fs.Glob(root, "proc/[0-9]*/comm")
	if err != nil {
		return unknown("What runs on this computer could not be listed.")
	}
	var names []string
	for _, f := range files {
		if b, err := fs.ReadFile(root, f); err == nil { // it may have ended meanwhile
			names = append(names, strings.TrimSpace(string(b)))
		}
	}
	return parseProcesses(names)
}

// parseMounts reads /proc/self/mountinfo (proc(5)): which block device, as
// "major:minor", lies under each of the places. The last mount counts.
func parseMounts(text string, places ...string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		for _, p := range places {
			if len(f) > 5 && f[4] == p {
				found[p] = f[2]
			}
		}
	}
	return found
}

// linuxDisk walks from the mounted file systems down to the disks. A device is
// encrypted when the device mapper says so, or when all that lies under it is.
func linuxDisk(root fs.FS) agent.Finding {
	text, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return unknown("The list of mounted disks could not be read.")
	}
	mounts := parseMounts(string(text), "/", "/home")
	if mounts["/"] == "" {
		return unknown("The disk of the system was not found.")
	}
	for _, place := range []string{"/", "/home"} {
		dev := mounts[place]
		if dev == "" {
			continue // it belongs to the disk above
		}
		switch ok, err := encrypted(root, "sys/dev/block/"+dev, 0); {
		case err != nil:
			return unknown(fmt.Sprintf("What lies under %s is no disk that can be asked.", place))
		case !ok:
			return fail(fmt.Sprintf("The disk under %s is not encrypted.", place))
		}
	}
	return pass("The disks of the system and of people’s files are encrypted.")
}

// deepest bounds the walk: partition, RAID, volume, mapper.
const deepest = 8

func encrypted(root fs.FS, dev string, depth int) (bool, error) {
	if _, err := fs.Stat(root, dev); err != nil || depth > deepest {
		return false, fs.ErrNotExist
	}
	if uuid, err := fs.ReadFile(root, dev+"/dm/uuid"); err == nil && strings.HasPrefix(string(uuid), "CRYPT-") {
		return true, nil
	}
	below, err := fs.ReadDir(root, dev+"/slaves")
	if err != nil || len(below) == 0 {
		return false, nil // a disk or a partition itself
	}
	for _, b := range below {
		number, err := fs.ReadFile(root, filepath.ToSlash(filepath.Join("sys/class/block", b.Name(), "dev")))
		if err != nil {
			return false, err
		}
		if ok, err := encrypted(root, "sys/dev/block/"+strings.TrimSpace(string(number)), depth+1); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}
