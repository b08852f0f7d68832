// Quietroom is the security of a mental-health practice in one program: server,
// device agent and command line. See ARCHITECTURE.md for the house it builds.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// Exit codes. 0 only if what the command checked holds.
const (
	exitHeld    = 0
	exitFailed  = 1 // it does not hold, or an error
	exitUsage   = 2
	exitSkipped = 3 // an engine was missing: nothing was tried
)

// command is one subcommand.
type command struct {
	name    string
	does    string // one line, for the list of commands
	example string
	run     func(ctx context.Context, c *call) error
}

func commands() []command {
	return []command{
		{"demo", "make a made-up practice, try the attacks on it, and serve it on localhost", "quietroom demo --patients 3000", demoCommand},
		{"serve", "serve a practice", "quietroom serve --dir /srv/quietroom", serveCommand},
		{"import", "take in patients from another system: import fhir PATH...", "quietroom import fhir bundles.zip --dir D --unlock code.txt", importCommand},
		{"export", "write patients as plain FHIR, files and a readable page", "quietroom export --dir D --unlock code.txt --out O", exportCommand},
		{"drill", "try an attack and report whether the protection held: " + strings.Join(drillNames(), ", "), "quietroom drill theft --dir D --json", drillCommand},
		{"verify", "check the whole ledger and name the first bad row", "quietroom verify --dir D", verifyCommand},
		{"backup", "save the house, and open a backup again: " + backupWords, "quietroom backup --dir D", backupCommand},
		{"restore", "bring a house back from a backup, with its recovery sheet", "quietroom restore --kit sheet.txt --dir D", restoreCommand},
		{"site-scan", "say what a web site tells others about the people who visit it", "quietroom site-scan https://your-practice.example --out report", siteScanCommand},
		{"update-check", "say what this program would change in a house, after trying it on a copy", "quietroom update-check --dir D", updateCheckCommand},
		{"proof", "make the binder for an auditor or an insurer: evidence, dates, and the record of events with proofs", "quietroom proof --dir D --out proof.zip", proofCommand},
		{"verify-proof", "check every byte of such a binder, on any machine, without a network", "quietroom verify-proof proof.zip", verifyProofCommand},
		{"agent", "look at how this computer is kept: agent check", "quietroom agent check --json", agentCommand},
		{"doctor", "say what this machine lacks, and how to mend it", "quietroom doctor --dir D", doctorCommand},
		{"version", "print the version", "quietroom version", versionCommand},
	}
}

// call is one run of a command: its words, and where it reads and writes.
type call struct {
	args     []string
	in       io.Reader
	out, err io.Writer
	terminal bool // err is a terminal: progress may be drawn
	flags    *flag.FlagSet
}

// exit ends a command with a code other than 1.
type exit struct {
	code int
	err  error // nil: everything was said already
}

func (e exit) Error() string {
	if e.err == nil {
		return fmt.Sprint("exit ", e.code)
	}
	return e.err.Error()
}
func (e exit) Unwrap() error { return e.err }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	c := &call{args: os.Args[1:], in: os.Stdin, out: os.Stdout, err: os.Stderr, terminal: isTerminal(os.Stderr)}
	code := run(ctx, c)
	stop()
	os.Exit(code)
}

// run finds the command, runs it and turns its error into words and a code.
func run(ctx context.Context, c *call) int {
	harden()
	if len(c.args) == 0 || slices.Contains([]string{"help", "-h", "--help"}, c.args[0]) {
		printCommands(c.out)
		return exitHeld
	}
	name := c.args[0]
	i := slices.IndexFunc(commands(), func(k command) bool { return k.name == name })
	if i < 0 {
		fmt.Fprintf(c.err, "quietroom: there is no command %q. `quietroom help` lists them.\n", name)
		return exitUsage
	}
	k := commands()[i]
	c.args = c.args[1:]
	c.flags = newFlags(name)
	c.flags.Usage = func() { k.explain(c.out, c.flags) }
	return exitCode(c, k.run(ctx, c))
}

// explain prints what --help asks for.
func (k command) explain(w io.Writer, options *flag.FlagSet) {
	fmt.Fprintf(w, "quietroom %s: %s\n\nExample:\n  %s\n", k.name, k.does, k.example)
	head := "\nOptions:\n"
	options.VisitAll(func(f *flag.Flag) {
		value, what := flag.UnquoteUsage(f)
		if f.DefValue != "" && f.DefValue != "false" {
			what += " (" + f.DefValue + " if not said)"
		}
		fmt.Fprintf(w, "%s  %-20s %s\n", head, strings.TrimSpace("--"+f.Name+" "+strings.ToUpper(value)), what)
		head = ""
	})
}

func exitCode(c *call, err error) int {
	var e exit
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitHeld
	case errors.As(err, &e):
		if e.err != nil {
			fmt.Fprintf(c.err, "quietroom: %v\n", e.err)
		}
		return e.code
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(c.err, "quietroom: stopped. What was finished is kept; run the command again to go on.")
		return exitFailed
	}
	fmt.Fprintf(c.err, "quietroom: %v\n", err)
	return exitFailed
}

func printCommands(w io.Writer) {
	fmt.Fprint(w, "Quietroom: what is sealed here, a thief of disk, database or backup cannot read.\n\nCommands:\n")
	for _, k := range commands() {
		fmt.Fprintf(w, "  %-12s %s\n", k.name, k.does)
	}
	fmt.Fprint(w, "\n`quietroom COMMAND --help` shows options and an example.\n")
}

// parse reads options, also those that stand after other words, and returns the words.
func (c *call) parse() (words []string, err error) {
	args := c.args
	for {
		if err := c.flags.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usage("%w. `quietroom %s --help` shows the options", err, c.flags.Name())
		}
		args = c.flags.Args()
		if len(args) == 0 {
			return words, nil
		}
		words, args = append(words, args[0]), args[1:]
	}
}

// usage is an error of the caller's words.
func usage(format string, a ...any) error { return exit{exitUsage, fmt.Errorf(format, a...)} }
