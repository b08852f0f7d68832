package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// finding is one thing that doctor looked at.
type finding struct {
	What string `json:"what"`
	OK   *bool  `json:"ok"` // null: not known on this system
	Said string `json:"said"`
	Fix  string `json:"fix,omitempty"`
}

func good(what, said string) finding     { return finding{what, new(true), said, ""} }
func bad(what, said, fix string) finding { return finding{what, new(false), said, fix} }
func unknown(what, said string) finding  { return finding{what, nil, said, ""} }

func doctorCommand(ctx context.Context, c *call) error {
	dir := c.flags.String("dir", "", "the house's directory")
	asJSON := c.flags.Bool("json", false, "print one JSON document and nothing else")
	words, err := c.parse()
	if err != nil {
		return err
	}
	if *dir == "" || len(words) > 0 {
		return usage("look at which house? quietroom doctor --dir D")
	}
	s, err := readSettings(*dir)
	if err != nil {
		return err
	}
	findings := examine(*dir, s)
	if *asJSON {
		err = json.NewEncoder(c.out).Encode(map[string]any{"findings": findings})
	} else {
		printFindings(c.out, findings)
	}
	for _, f := range findings {
		if f.OK != nil && !*f.OK {
			return errors.Join(err, exit{exitFailed, nil})
		}
	}
	return err
}

// examine looks at the machine and the directory. It opens nothing and changes nothing.
func examine(dir string, s *settings) []finding {
	return []finding{
		private(dir),
		swap("/proc/swaps"),
		clock(dir, time.Now()),
		served(dir),
		reachable(s.Origin),
	}
}

// private tells whether others on this machine can list or read the directory.
func private(dir string) finding {
	const what = "Directory"
	if runtime.GOOS == "windows" {
		return unknown(what, "Who may read it is not looked at on Windows.")
	}
	var open []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone meanwhile
		}
		if info, err := d.Info(); err == nil && info.Mode().Perm()&0o077 != 0 && d.Type()&fs.ModeSymlink == 0 {
			rel, _ := filepath.Rel(dir, path)
			open = append(open, rel)
		}
		return nil
	})
	switch {
	case err != nil:
		return unknown(what, "It could not be read.")
	case len(open) > 0:
		return bad(what, fmt.Sprintf("Others on this machine may look into %d files or folders, %s first.", len(open), open[0]), "chmod -R go= "+dir)
	}
	return good(what, "Only its own user may look into it.")
}

// swap tells whether memory, with keys of requests in flight, may be written to
// a disk. What backs a swap device is not known here, so any swap counts unless
// it is compressed memory.
func swap(file string) finding {
	const what = "Swap"
	text, err := os.ReadFile(file)
	if err != nil {
		return unknown(what, "Whether this system swaps is not known.")
	}
	var disks []string
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if name := strings.Fields(line); i > 0 && len(name) > 0 && !strings.HasPrefix(name[0], "/dev/zram") && !strings.HasPrefix(name[0], "/dev/dm-") {
			disks = append(disks, name[0])
		}
	}
	if len(disks) > 0 {
		return bad(what, "Memory may be written to "+strings.Join(disks, ", ")+".", "swapoff -a, or put swap on an encrypted volume")
	}
	return good(what, "No memory is written to a plain disk.")
}

// clock tells whether the clock runs behind the house's own files.
func clock(dir string, now time.Time) finding {
	const what = "Clock"
	info, err := os.Stat(filepath.Join(dir, "house.db"))
	if err != nil {
		return unknown(what, "There is nothing to compare it with.")
	}
	if ahead := info.ModTime().Sub(now); ahead > time.Minute {
		return bad(what, fmt.Sprintf("The database was written %s in the future.", ahead.Round(time.Minute)), "set the clock, and let it follow a time server")
	}
	return good(what, "It does not run behind what the house wrote.")
}

func served(dir string) finding {
	conn, err := net.Dial("unix", controlPath(dir))
	if err != nil {
		return unknown("Server", "Nobody serves this house just now.")
	}
	conn.Close()
	return good("Server", "It is being served, and answers.")
}

// reachable looks the house's name up.
func reachable(origin string) finding {
	const what = "Name"
	_, host, _ := strings.Cut(origin, "://")
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" {
		return unknown(what, "It is open on this machine only. A practice needs a name with a certificate: serve --name.")
	}
	if !strings.HasPrefix(origin, "https://") {
		return bad(what, "It is served without a certificate.", "serve --name, or --cert and --key")
	}
	if _, err := net.LookupHost(host); err != nil {
		return bad(what, host+" leads nowhere.", "enter the name with whoever keeps your domain")
	}
	return good(what, host+" is known.")
}

func printFindings(w io.Writer, findings []finding) {
	for _, f := range findings {
		word := "Not known"
		if f.OK != nil {
			word = map[bool]string{true: "Safe", false: "Needs you"}[*f.OK]
		}
		fmt.Fprintf(w, "%-10s %-10s %s\n", word, f.What, f.Said)
		if f.Fix != "" {
			fmt.Fprintf(w, "%21s %s\n", "", f.Fix)
		}
	}
}
