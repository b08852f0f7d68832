package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
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
	support := c.flags.Bool("support", false, "print the same for whoever helps you: without names, paths and addresses")
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
	findings := examine(ctx, *dir, s)
	text := supportText(findings, *dir, s)
	switch {
	case *asJSON:
		err = json.NewEncoder(c.out).Encode(map[string]any{"findings": findings, "support": text})
	case *support:
		_, err = io.WriteString(c.out, text)
	default:
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
func examine(ctx context.Context, dir string, s *settings) []finding {
	return []finding{
		running(),
		scannerFinding(),
		private(dir),
		swap("/proc/swaps"),
		clock(dir, time.Now()),
		served(dir),
		reachable(s.Origin),
		certificate(filepath.Join(dir, "certificates"), s.Origin, time.Now()),
		space(dir),
		mailServer(dir),
		engine(ctx, "Chromium", "scans of the web site, and PDFs", "apt-get install chromium", "chromium", "chromium-browser", "google-chrome"),
		engine(ctx, "restic", "backups", "apt-get install restic", "restic"),
		engine(ctx, "ClamAV", "looking for harmful programs", "apt-get install clamav-daemon", "clamd", "clamscan"),
	}
}

// running says which program this is, and where it runs.
func running() finding {
	return good("Version", fmt.Sprintf("quietroom %s, %s, on %s/%s.", version, runtime.Version(), runtime.GOOS, runtime.GOARCH))
}

// engine tells whether a program that a room uses is there. What is missing
// closes that room's work and nothing else.
func engine(ctx context.Context, name, does, fix string, programs ...string) finding {
	for _, p := range programs {
		if path, err := exec.LookPath(p); err == nil {
			asked, cancel := context.WithTimeout(ctx, 10*time.Second)
			out, err := exec.CommandContext(asked, path, map[bool]string{true: "version", false: "--version"}[p == "restic"]).Output()
			cancel()
			said, _, _ := strings.Cut(string(out), "\n")
			if err != nil || said == "" {
				return unknown(name, "It is here and does not say its version.")
			}
			return good(name, strings.TrimSpace(said)+".")
		}
	}
	f := unknown(name, "It is not on this machine. It is for "+does+".")
	f.Fix = fix
	return f
}

// leastSpace is how much of the disk should stay free: an update copies the database.
const leastSpace = 1 << 30

func space(dir string) finding {
	const what = "Space"
	free, err := freeSpace(dir)
	if err != nil {
		return unknown(what, "How much of the disk is free is not known.")
	}
	said := fmt.Sprintf("%.1f GB of the disk are free.", float64(free)/1e9)
	if free < leastSpace {
		return bad(what, said, "make room on the disk of the directory, or move it to a larger one")
	}
	return good(what, said)
}

// soon is how long before its end a certificate is told of.
const soon = 14 * 24 * time.Hour

// certificate looks at what was fetched for the house's name.
func certificate(dir, origin string, now time.Time) finding {
	const what = "Certificate"
	files, err := os.ReadDir(dir)
	if err != nil {
		if strings.HasPrefix(origin, "https://") {
			return unknown(what, "It is the practice's own: its end is not looked at here.")
		}
		return unknown(what, "There is none: the house is open on this machine only.")
	}
	var ends time.Time
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		for err == nil && len(text) > 0 {
			var block *pem.Block
			if block, text = pem.Decode(text); block == nil {
				break
			}
			if c, err := x509.ParseCertificate(block.Bytes); err == nil && !c.IsCA && c.NotAfter.After(ends) {
				ends = c.NotAfter
			}
		}
	}
	switch {
	case ends.IsZero():
		return unknown(what, "None was fetched yet.")
	case ends.Before(now.Add(soon)):
		return bad(what, "It ends on "+ends.Format(time.DateOnly)+".", "see that the name leads here and that port 443 can be reached; it is then fetched by itself")
	}
	return good(what, "It ends on "+ends.Format(time.DateOnly)+", and is fetched anew before.")
}

// mailServer tells whether mail can go out at all: its password waits for its key.
func mailServer(dir string) finding {
	if _, err := os.Stat(filepath.Join(dir, outboxFile)); err != nil {
		return unknown("Mail", "The key of outgoing mail is not there; one is made at the next start, and the mail server's password has to be typed again.")
	}
	return unknown("Mail", "The key of outgoing mail is here. Whether mail arrives is told on the page Mail.")
}

// supportText is what may be sent to somebody who helps: what was found, without
// names, paths, addresses and identifiers.
func supportText(findings []finding, dir string, s *settings) string {
	var b strings.Builder
	b.WriteString("Quietroom support text. Please read it before you send it.\n")
	for _, f := range findings {
		word := "not known"
		if f.OK != nil {
			word = map[bool]string{true: "ok", false: "not ok"}[*f.OK]
		}
		fmt.Fprintf(&b, "%s: %s. %s\n", f.What, word, redact(f.Said, dir, s))
	}
	fmt.Fprintf(&b, "Database: %s. Blobs: %s. Made up: %v.\n", map[bool]string{true: "PostgreSQL", false: "SQLite"}[strings.Contains(s.Database, "://")], map[bool]string{true: "bucket", false: "folder"}[strings.Contains(s.Blobs, "://")], s.MadeUp != nil)
	return b.String()
}

// redact takes out what names this practice or this machine.
func redact(text, dir string, s *settings) string {
	_, host, _ := strings.Cut(s.Origin, "://")
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	hidden := []string{dir, "DIR", s.Origin, "ORIGIN", host, "HOST", s.ID, "PRACTICE", s.Database, "DATABASE"}
	if name != "localhost" && name != "" {
		hidden = append(hidden, name, "HOST")
	}
	if abs, err := filepath.Abs(dir); err == nil {
		hidden = append([]string{abs, "DIR"}, hidden...)
	}
	if machine, err := os.Hostname(); err == nil && len(machine) > 2 {
		hidden = append(hidden, machine, "MACHINE")
	}
	for i := 0; i < len(hidden); i += 2 {
		if len(hidden[i]) > 2 {
			text = strings.ReplaceAll(text, hidden[i], hidden[i+1])
		}
	}
	return text
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
		if d.IsDir() && path == filepath.Join(dir, "antivirus", "signatures") {
			return filepath.SkipDir // signatures are public, and the scanner's own user reads them
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
		fmt.Fprintf(w, "%-10s %-11s %s\n", word, f.What, f.Said)
		if f.Fix != "" {
			fmt.Fprintf(w, "%22s %s\n", "", f.Fix)
		}
	}
}
